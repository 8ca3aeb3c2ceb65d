"""An app of workflows for the processes that the tests start."""
