"""Answers about runs that commands, the API and the admin share."""
