"""Pieces of docs/observability.md."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[4]
DOCUMENT = PROJECT / "docs" / "observability.md"


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def commands_of(document: Path) -> list[str]:
    """Return the commands in its console blocks."""
    return [
        line.removeprefix("$ ")
        for block in blocks(document, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


def first_column(document: Path, title: str) -> list[str]:
    """Return the names in the first column of the table under a title."""
    text = document.read_text(encoding="utf-8")
    part = text.split(f"| {title} |", 1)[1].split("\n\n", 1)[0]
    return [
        name
        for line in part.splitlines()[2:]
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    ]
