"""Find words that CONTRIBUTING.md's term list replaces.

    python tests/plain_english.py

Checks comments, docstrings and strings of Python, and Markdown, in COVERED;
of tests, comments and docstrings. Prints each match, and exits with 1 if there
is any.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# To add when edited: the rest of django_hookflow/, orders/, payments_sandbox/,
# scripts/, benchmarks/, and the other pages of docs/. "*" is the project's
# folder.
COVERED = """
    README.md docs/why.md docs/tutorial.md hooks/*.py
    */README.md */AGENTS.md */CONTRIBUTING.md */docs/concepts.md
    */docs/configuration.md */docs/deployment.md */docs/operations.md
    */docs/retention.md */config/**/*.py */core/checks.py
    */qstash_server/**/*.py
    */django_hookflow/contrib/**/*.py */django_hookflow/management/**/*.py
    */django_hookflow/testing/**/*.py */django_hookflow/transports/**/*.py
    */django_hookflow/tests/engine/*.py */django_hookflow/tests/http/**/*.py
    */django_hookflow/tests/races/*.py */django_hookflow/tests/*.py
    */django_hookflow/workflows/handlers.py
    */django_hookflow/[abcflnptuv]*.py */django_hookflow/endpoints.py
    */django_hookflow/exceptions.py */django_hookflow/http.py
    */django_hookflow/maintenance.py */django_hookflow/readonly.py
    */django_hookflow/reading.py */django_hookflow/retry.py
    */django_hookflow/serialization.py */django_hookflow/signals.py
    */django_hookflow/stopping.py */django_hookflow/strength.py
"""
FORBIDDEN = re.compile(
    r"(?<!\.)\b(nobody|somebody|whoever|anybody|everybody|anew|in vain"
    r"|bells?|rings?|rang|rung|(?:\d|\}) letters|the house"
    r"|is no (?:kind|member|text|JSON|\w+ id)|there is no \w+ \{)\b"
    r"|\A\"{3}(?:What|How many)\b",
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
        is_test = "tests" in name.parts
        for line, text in texts(path):
            # Strings of a test may be anything, as may those it compares.
            if is_test and not text.startswith(("#", '"""')):
                continue
            for match in FORBIDDEN.finditer(text):
                yield f"{name}:{line}: {match[0]}"


if __name__ == "__main__":
    sys.exit("\n".join(matches()) or 0)
