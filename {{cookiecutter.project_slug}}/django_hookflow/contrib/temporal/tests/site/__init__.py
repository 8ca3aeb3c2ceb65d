"""An app for the processes that the tests start."""
