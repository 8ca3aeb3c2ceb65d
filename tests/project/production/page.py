"""A document whose commands are run, and whose output is compared."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console *(.*)\n([\s\S]*?)^```$", re.MULTILINE)
COMMAND = re.compile(
    r"^\$ (.*(?:\n> ?.*)*)\n?((?:(?!\$ ).*\n?)*)", re.MULTILINE
)
ANYTHING = "…"


@dataclass(frozen=True)
class Command:
    """A command after "$", with its lines after ">", and its output."""

    text: str
    output: str

    def run(
        self,
        folder: Path,
        environment: Mapping[str, str],
        places: Mapping[str, str],
    ) -> str:
        """Return its real output; `places` differ in a test."""
        text = self.text
        for name, value in places.items():
            text = text.replace(name, value)
        done = subprocess.run(
            ["bash", "-euc", text], cwd=folder, env=environment,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {text}\n{done.stdout}{done.stderr}"
        assert _matches(self.output, done.stdout), f"$ {text}\n{done.stdout}"
        return done.stdout


@dataclass(frozen=True)
class Block:
    kind: str  # the word after "console"
    commands: tuple[Command, ...]


def sections(document: Path) -> dict[str, list[Block]]:
    """Return the blocks of commands under each title, also if none."""
    parts = re.split(r"^## ", document.read_text("utf-8"), flags=re.MULTILINE)
    return {
        part.partition("\n")[0]: [
            Block(kind, tuple(_commands(body)))
            for kind, body in BLOCK.findall(part)
        ]
        for part in parts[1:]
    }


def _commands(body: str) -> list[Command]:
    return [
        Command(re.sub(r"^> ?", "", text, flags=re.MULTILINE), output)
        for text, output in COMMAND.findall(body)
    ]


def _matches(expected: str, found: str) -> bool:
    """Return True if it matches, with anything for "…"."""
    if not expected.strip():
        return True
    pattern = re.escape(expected.strip()).replace(ANYTHING, ".*")
    return re.fullmatch(pattern, found.strip(), re.DOTALL) is not None
