"""Find words that CONTRIBUTING.md's term list replaces.

    python tests/plain_english.py

Checks comments, docstrings and strings of Python, and Markdown, in COVERED;
of tests, comments and docstrings. Prints each match, and exits with 1 if there
is any.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# "*" is the project.
COVERED = """
    README.md docs/*.md hooks/*.py local_extensions.py benchmarks/**/*.py
    tests/**/*.py
    */README.md */AGENTS.md */CONTRIBUTING.md */docs/**/*.md */*.py
    */config/**/*.py */core/**/*.py */orders/**/*.py */orders/*.md
    */payments_sandbox/**/*.py */payments_sandbox/*.md
    */scripts/*.py */tests/**/*.py */qstash_server/**/*.py
    */django_hookflow/**/*.py
"""
FORBIDDEN = re.compile(
    r"(?<!\.)\b(nobody|somebody|whoever|anybody|everybody|anew|in vain"
    r"|bells?|rings?|rang|rung|(?:\d|\}) letters|the house"
    r"|(?<!there )is no (?:URL|UTF|list|number|function|path|kind|member"
    r"|text|JSON|(?:\w+ )?id)"
    r"|there is no \w+ \{)\b|\A\"{3}(?:What|How many)\b",
    re.IGNORECASE,
)
# A user of PostgreSQL's, and a kind of visitor.
ALLOWED = re.compile(r"the user \"?nobody|\Af?\"nobody\"")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of each piece of prose."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from enumerate(text.splitlines(), 1)
        return
    if "tests" in path.relative_to(ROOT).parts:
        yield from docstrings(ast.parse(text))
        return
    kinds = {tokenize.COMMENT, tokenize.STRING}
    kinds.add(getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            yield token.start[0], token.string


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of each docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield node.body[0].lineno, f'"""{text}"""'


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
            for match in FORBIDDEN.finditer(ALLOWED.sub("", text)):
                yield f"{name}:{line}: {match[0]}"


if __name__ == "__main__":
    sys.exit("\n".join(matches()) or 0)
