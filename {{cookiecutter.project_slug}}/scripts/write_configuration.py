#!/usr/bin/env python3
# ruff: noqa: E501 (a line of a document is a sentence)
"""Write .env.example and docs/configuration.md from config/variables.py.

    python scripts/write_configuration.py
    python scripts/write_configuration.py --check    # only compare

The public domain stays the one that .env.example has.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from config.variables import DECLARED  # noqa: E402
from config.variables import EVERYWHERE  # noqa: E402
from config.variables import GROUPS  # noqa: E402
from config.variables import HOST  # noqa: E402
from config.variables import KINDS  # noqa: E402
from config.variables import Default  # noqa: E402
from config.variables import Variable  # noqa: E402

EXAMPLE = PROJECT / ".env.example"
DOCUMENT = PROJECT / "docs" / "configuration.md"

EXAMPLE_HEAD = """\
# The variables this project reads; docs/configuration.md has them in tables.
#
# `make dev` copies this file to .env once and fills in the secrets that are
# empty here; .env is yours alone and git ignores it. A variable set outside
# of the file wins over the file, and one that is empty counts as not set.
#
# Written from config/variables.py by `make docs`.
"""

DOCUMENT_HEAD = f"""\
# Configuration

Everything that differs from place to place is an environment variable.
On a laptop they stand in `.env`, which `make dev` writes once; elsewhere set them where the site is started.
A site that lacks one, or cannot read one, does not start and names all that is wrong in one error.
A variable that is set and empty counts as not set.

"Needed" says for which settings a variable must be set: `local` (`config.settings.local`, a laptop) or `production` (`config.settings.production`).
Keep what is marked as secret out of the repository, of images and of logs.
`{HOST}` stands for your domain.

This page and `.env.example` are written from `config/variables.py` by `make docs`, and a test compares them.
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
    """What is written, and its whole text."""
    yield EXAMPLE, example(domain_of(current(EXAMPLE)))
    yield DOCUMENT, document()


def current(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def domain_of(text: str) -> str:
    """The public domain in an .env.example: an answer, or its placeholder."""
    found = re.search("^#DJANGO_ALLOWED_HOSTS=(.+)$", text, re.MULTILINE)
    return found[1] if found else HOST


def example(domain: str) -> str:
    """The text of .env.example for a domain."""
    parts = [EXAMPLE_HEAD]
    for group, about in GROUPS.items():
        parts.append(f"# --- {group} ".ljust(77, "-") + "\n")
        if about:
            parts.append(comment(about))
        parts += [entry(one) for one in DECLARED if one.group == group]
    return "\n".join(parts).replace(HOST, domain)


def entry(one: Variable) -> str:
    """What a variable is for, and the line that sets it."""
    needed = "production" in one.needed and one.fresh is None
    about = one.help + (" Needed in production." if needed else "")
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
    """The text of docs/configuration.md."""
    return "\n".join([DOCUMENT_HEAD, *(section(group) for group in GROUPS)])


def section(group: str) -> str:
    about = GROUPS[group]
    rows = [row(one) for one in DECLARED if one.group == group]
    return "\n".join(
        [
            f"## {group}\n",
            *([f"{about}\n"] if about else []),
            "| Variable | Holds | Default | Needed | What it is for |",
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
    """The default, and the others with the settings that have them."""
    others = [
        f"{code(value)} in `{module}`"
        for module, value in one.defaults.items()
    ]
    return ", ".join(filter(None, [code(one.default), *others]))


def where(one: Variable) -> str:
    """Who reads it, unless all settings do."""
    if one.reader:
        return f" Read by `{one.reader}`."
    if one.read_in != EVERYWHERE:
        return f" Read in `{'`, `'.join(one.read_in)}` only."
    return ""


def code(value: Default) -> str:
    return f"`{shown(value)}`" if shown(value) else ""


def shown(value: Default) -> str:
    """A default as one would write it in the environment."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    sys.exit(main())
