"""The last line of a terminal, which long work writes again and again."""

from __future__ import annotations

from django.core.management.base import OutputWrapper

# Moves a terminal to the first column and clears the line.
CLEAR_LINE = "\r\x1b[K"


def overwrite(stdout: OutputWrapper, progress: str) -> None:
    """Overwrite the last line; nothing where no terminal reads it."""
    if stdout.isatty():
        stdout.write(f"{CLEAR_LINE}{progress}", ending="")
        stdout.flush()
