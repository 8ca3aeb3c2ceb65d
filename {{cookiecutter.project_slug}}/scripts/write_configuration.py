#!/usr/bin/env python3
# ruff: noqa: E501 (a line of a document is a sentence)
"""Write .env.example and docs/configuration.md from config/variables.py.

    python scripts/write_configuration.py
    python scripts/write_configuration.py --check    # only compare

The public domain in .env.example is kept.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from config.declaration import EVERYWHERE  # noqa: E402
from config.declaration import GROUPS  # noqa: E402
from config.declaration import HOST  # noqa: E402
from config.declaration import KINDS  # noqa: E402
from config.declaration import Default  # noqa: E402
from config.declaration import Variable  # noqa: E402
from config.variables import DECLARED  # noqa: E402

EXAMPLE = PROJECT / ".env.example"
DOCUMENT = PROJECT / "docs" / "configuration.md"

EXAMPLE_HEAD = """\
# All variables of this project; docs/configuration.md has them in tables.
#
# `make dev` copies this file to .env once and generates the secrets that are
# empty here; git ignores .env. Variables of the environment take precedence
# over the file, and an empty value counts as not set.
#
# Generated from config/variables.py by `make docs`.
"""

DOCUMENT_HEAD = f"""\
# Configuration

Everything that differs between environments is an environment variable.
On a laptop they are in `.env`, which `make dev` creates; elsewhere set them where the site is started.
If required variables are missing or invalid, the site does not start, and one error names all of them.
An empty value counts as not set.

"Required in" names the settings that require a variable: `local` (`config.settings.local`, a laptop) or `production` (`config.settings.production`).
Keep secret values out of the repository, images and logs.
`{HOST}` stands for your domain.

This page and `.env.example` are generated from `config/variables.py` by `make docs`; a test compares them.
"""


def main() -> int:
    wrong = [path for path, text in files() if current(path) != text]
    if "--check" in sys.argv[1:]:
        for path in wrong:
            print(f"{path.relative_to(PROJECT)} is out of date: make docs")
        return bool(wrong)
    for path, text in files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


def files() -> Iterator[tuple[Path, str]]:
    """Yield each generated file with its text."""
    yield EXAMPLE, example(domain_of(current(EXAMPLE)))
    yield DOCUMENT, document()


def current(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def domain_of(text: str) -> str:
    """Return the public domain in an .env.example, or the placeholder."""
    found = re.search("^#DJANGO_ALLOWED_HOSTS=(.+)$", text, re.MULTILINE)
    return found[1] if found else HOST


def example(domain: str) -> str:
    """Return the text of .env.example for a domain."""
    parts = [EXAMPLE_HEAD]
    for group, about in GROUPS.items():
        parts.append(f"# --- {group} ".ljust(77, "-") + "\n")
        if about:
            parts.append(comment(about))
        parts += [entry(one) for one in DECLARED if one.group == group]
    return "\n".join(parts).replace(HOST, domain)


def entry(one: Variable) -> str:
    """Return the comment and the line of a variable."""
    needed = "production" in one.needed and one.fresh is None
    about = one.help + (" Required in production." if needed else "")
    if one.choices:
        about += f" One of {', '.join(one.choices)}."
    for place, value in one.defaults.items():
        about += f" The default is {shown(value)} in {place}."
    line = f"{one.name}={one.fresh}"
    if one.fresh is None:
        line = f"#{one.name}={one.example or shown(one.default)}"
    return f"{comment(about)}{line}\n"


def comment(text: str) -> str:
    lines = textwrap.wrap(text, 75, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def document() -> str:
    """Return the text of docs/configuration.md."""
    return "\n".join([DOCUMENT_HEAD, *(section(group) for group in GROUPS)])


def section(group: str) -> str:
    about = GROUPS[group]
    rows = [row(one) for one in DECLARED if one.group == group]
    return "\n".join(
        [
            f"## {group}\n",
            *([f"{about}\n"] if about else []),
            "| Variable | Type | Default | Required in | Purpose |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def row(one: Variable) -> str:
    cells = (
        f"`{one.name}`",
        ("secret " if one.secret else "") + holds(one),
        defaults(one),
        ", ".join(one.needed),
        one.help + where(one),
    )
    return "| " + " | ".join(cells) + " |"


def holds(one: Variable) -> str:
    if one.choices:
        return " or ".join(f"`{choice}`" for choice in one.choices)
    return KINDS[one.kind]


def defaults(one: Variable) -> str:
    """Return the default, and other defaults with their settings module."""
    others = [
        f"{code(value)} in `{module}`"
        for module, value in one.defaults.items()
    ]
    return ", ".join(filter(None, [code(one.default), *others]))


def where(one: Variable) -> str:
    """Return which file or settings read it, unless all settings do."""
    if one.reader:
        return f" Read by `{one.reader}`."
    if one.read_in != EVERYWHERE:
        return f" Read in `{'`, `'.join(one.read_in)}` only."
    return ""


def code(value: Default) -> str:
    return f"`{shown(value)}`" if shown(value) else ""


def shown(value: Default) -> str:
    """Return a default as written in the environment."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    sys.exit(main())
