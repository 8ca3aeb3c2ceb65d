"""The commands in the documents of a project work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clean_copy import REPOSITORY
from owner import INSTALLED
from owner import Owner
from test_readme import commands_of
from test_readme import targets

PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"
RUN = ["AGENTS.md", "CONTRIBUTING.md"]
CONSOLE = re.compile(r"^ *```console\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", RUN)
def test_every_command_of_a_page_works(name: str, owner: Owner) -> None:
    commands = typed(owner.project / name)

    assert commands
    for command in commands:
        target = re.match(r"make (.*)", command)
        if target:
            owner.types(f"make {' '.join(INSTALLED)} {target[1]}")
        else:
            owner.types(command)


@pytest.mark.parametrize("name", [*RUN, "README.md", "docs/updating.md"])
def test_every_target_that_a_page_names_exists(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    inline = re.findall(r"`make ([a-z-]+)", text)

    assert commands_of(text) | set(inline) <= targets(PROJECT)


@pytest.mark.parametrize("name", [*RUN, "README.md", "docs/updating.md"])
def test_every_place_that_a_page_names_exists(name: str) -> None:
    page = PROJECT / name
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    places = re.findall(r"`([a-z_]+/[\w./]*)`", text)

    missing = [link for link in links if not exists(page.parent / link)]
    missing += [place for place in places if not exists(PROJECT / place)]
    assert missing == []


def exists(path: Path) -> bool:
    """Return True if it is there; LICENSE is chosen by the bake."""
    return path.exists() or path.name == "LICENSE"


def typed(page: Path) -> list[str]:
    """Return the text after each prompt on a page."""
    blocks = CONSOLE.findall(page.read_text(encoding="utf-8"))
    return re.findall(r"^ *\$ (.*)$", "\n".join(blocks), re.MULTILINE)
