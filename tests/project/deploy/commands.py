"""Commands as a shell would take them, looked at without running them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.core.management import get_commands
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

BLOCK = re.compile(
    r"^( *)```(\w+)( account)?\n(.*?)^ *```$", re.DOTALL | re.MULTILINE
)
ACCOUNT = "# needs an account"

# manage.py and what follows it, up to where a sentence or a quote goes on.
MANAGE = re.compile(
    r"""(?:manage\.py|shop-manage)[ ,]([a-z_]+(?:"[^"\n]*"|[^`"'\n|;)])*)"""
)


@dataclass(frozen=True)
class Command:
    text: str
    account: bool  # whether it needs one elsewhere

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


def commands_of(page: Path) -> Iterator[Command]:
    """Yield the commands after the prompts of the page's consoles."""
    for block in BLOCK.finditer(page.read_text("utf-8")):
        if block[2] != "console":
            continue
        lines = [line.strip() for line in block[4].splitlines()]
        assert all(line.startswith(("$ ", ACCOUNT)) for line in lines), lines
        for before, line in zip(["", *lines], lines, strict=False):
            if line != ACCOUNT:
                elsewhere = bool(block[3]) or before == ACCOUNT
                yield Command(line.removeprefix("$ "), elsewhere)


def manage_lines(text: str) -> list[str]:
    """Return what `text` gives to manage.py, wherever it stands."""
    return [found.rstrip(" .,:") for found in MANAGE.findall(text)]


def check_manage(line: str) -> None:
    """Raise CommandError or AssertionError if manage.py refuses `line`."""
    name, *arguments = shlex.split(line.replace(",", " "))
    known = get_commands()
    assert name in known, f"manage.py has no command {name}"
    app = known[name]
    command = (
        app if isinstance(app, BaseCommand) else load_command_class(app, name)
    )
    command.create_parser("manage.py", name).parse_args(arguments)
