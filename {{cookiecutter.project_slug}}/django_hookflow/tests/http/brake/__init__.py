"""Stops a process right after a statement, so that a test can kill it there.

Test and process use the folder in HOOKFLOW_BRAKE: "at" contains a piece of the
statement; the process that executes it writes "stands" and waits until "at" is
deleted.
"""
