"""Stops a process right after a statement, so that a test can kill it there.

Test and process use the folder in HOOKFLOW_BRAKE: "at" contains pieces of the
statement and its values, one in a line; the process that executes it writes
"stands" and waits until "at" is deleted.
"""
