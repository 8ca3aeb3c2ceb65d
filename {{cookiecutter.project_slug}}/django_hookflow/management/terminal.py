"""The output of commands: the last line of a terminal, and files."""

from __future__ import annotations

from pathlib import Path

from django.core.management.base import CommandError
from django.core.management.base import OutputWrapper

# Moves a terminal to the first column and clears the line.
CLEAR_LINE = "\r\x1b[K"


def overwrite(stdout: OutputWrapper, progress: str) -> None:
    """Overwrite the last line; nothing where no terminal reads it."""
    if stdout.isatty():
        stdout.write(f"{CLEAR_LINE}{progress}", ending="")
        stdout.flush()


def save(path: Path, text: str, *, as_new: bool = False) -> None:
    """Write a file; raise CommandError if it cannot be, or is not `as_new`."""
    try:
        with path.open("x" if as_new else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(
            f"Cannot write {path}: {error.strerror}. Name a "
            f"{'new ' * as_new}file in a folder that exists."
        ) from error
