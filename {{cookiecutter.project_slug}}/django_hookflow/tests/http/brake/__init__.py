"""Stops a process right after a statement, so that a test can kill it there.

The folder in HOOKFLOW_BRAKE is how test and process talk: "at" holds a piece
of the statement; the process that meets it writes "stands" and stays until
"at" is gone.
"""
