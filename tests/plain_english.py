"""Find words that CONTRIBUTING.md's term list replaces.

    python tests/plain_english.py

Checks comments, docstrings and strings of Python, and Markdown, in COVERED,
without tests. Prints each match, and exits with 1 if there is any.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# To add when edited: django_hookflow/, orders/, payments_sandbox/, scripts/,
# benchmarks/, and the other pages of docs/. "*" is the project's folder.
COVERED = """
    README.md docs/why.md docs/tutorial.md hooks/*.py
    */README.md */AGENTS.md */CONTRIBUTING.md */docs/concepts.md
    */docs/configuration.md */docs/deployment.md */docs/operations.md
    */docs/retention.md */config/**/*.py */core/checks.py
    */qstash_server/**/*.py
"""
FORBIDDEN = re.compile(
    r"\b(nobody|somebody|whoever|anybody|everybody|bells?|rings?|rung"
    r"|(?:\d|\}) letters|in vain|the house)\b|\A\"{3}What\b",
    re.IGNORECASE,
)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of each piece of prose."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from enumerate(text.splitlines(), 1)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING}
    kinds.add(getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            yield token.start[0], token.string


def matches() -> Iterator[str]:
    found = {
        path for pattern in COVERED.split() for path in ROOT.glob(pattern)
    }
    for path in sorted(found):
        name = path.relative_to(ROOT)
        for line, text in [] if "tests" in name.parts else texts(path):
            for match in FORBIDDEN.finditer(text):
                yield f"{name}:{line}: {match[0]}"


if __name__ == "__main__":
    sys.exit("\n".join(matches()) or 0)
