"""Read blocks of code, tables and links from the documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from clean_copy import REPOSITORY

DOCS = REPOSITORY / "docs"
PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"

# The pages of the template, and those that a baked project brings.
PAGES = {
    path.name: path
    for folder in (DOCS, PROJECT / "docs")
    for path in sorted(folder.glob("*.md"))
}

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"^(?:Write|Change) `([\w./]+)`.*:\n\n\Z", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code, and the file that the sentence above it names."""

    language: str
    text: str
    file: str = ""

    @property
    def is_change_of_code(self) -> bool:
        """Return True if a site that serves the file restarts by it."""
        return self.language == "diff" and self.file.endswith(".py")

    def write(self, project: Path) -> None:
        """Do to the file what the reader would do."""
        path = project / self.file
        if self.language == "diff":
            path.write_text(self.changed(path.read_text("utf-8")), "utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text, "utf-8")

    def changed(self, text: str) -> str:
        """Return `text` with the lines of a diff; they must be there once."""
        lines = self.text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"{self.file} does not hold {before}"
        return text.replace(before, after)


@dataclass(frozen=True)
class Command:
    """A command after a prompt, and the output shown below it."""

    text: str
    output: str

    @property
    def is_a_look(self) -> bool:
        """Return True if it changes nothing, so that it can be asked again."""
        return ".objects.get(run_id=" in self.text

    def prints(self, screen: str) -> bool:
        """Return True if that is what is shown; "…" stands for anything."""
        shown = map(re.escape, self.output.strip("\n").split("…"))
        return re.fullmatch(".*".join(shown), screen.strip("\n")) is not None


def text_of(name: str) -> str:
    return PAGES[name].read_text(encoding="utf-8")


def blocks_of(name: str) -> list[Block]:
    """Return the blocks of code of a document, in order."""
    text = text_of(name)
    found = []
    for block in BLOCK.finditer(text):
        file = FILE.search(text, 0, block.start())
        found.append(Block(block[1], block[2], file[1] if file else ""))
    return found


def commands_of(block: Block) -> list[Command]:
    """Return the commands of a console; quotes may span lines."""
    commands = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        first, rest = part.split("\n", 1)
        if first.count("'") % 2:
            quoted, rest = rest.split("'\n", 1)
            first += f"\n{quoted}'"
        commands.append(Command(first, rest))
    return commands


def table_under(name: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a line, without their head."""
    _, _, section = text_of(name).partition(f"{heading}\n")
    lines = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert lines is not None, f"{name} has no table under {heading}"
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines[0].splitlines()
    ]
    return rows[2:]
