"""Cut out of a file what speaks of something that is gone.

Each function takes a text and `Gone`, and gives the text without the
smallest parts that mention it: an element of a list, an entry of a mapping,
a statement, a test; a line of a document. Everything else stays as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace

Function = ast.FunctionDef | ast.ClassDef
Prune = Callable[[str, "Gone"], str]
Container = ast.List | ast.Set | ast.Tuple | ast.Dict


@dataclass(frozen=True)
class Gone:
    """What nothing may speak of any longer.

    `apps` are whole strings, `texts` is searched in strings, `names` are
    whole names of Python, and `lines` is searched in all other files.
    """

    packages: frozenset[str]
    apps: frozenset[str]
    texts: re.Pattern[str]
    lines: re.Pattern[str]
    names: re.Pattern[str]
    dropped: frozenset[str] = frozenset()  # in the file at hand

    def has_name(self, name: str) -> bool:
        return name in self.dropped or bool(self.names.fullmatch(name))

    def has_module(self, module: str) -> bool:
        return any(
            module == package or module.startswith(f"{package}.")
            for package in self.packages
        )

    def is_in(self, node: ast.AST) -> bool:
        """Whether anything in `node` speaks of it."""
        return any(map(self.is_at, ast.walk(node)))

    def is_at(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Constant):
            text = node.value
            return isinstance(text, str) and (
                text in self.apps or bool(self.texts.search(text))
            )
        if isinstance(node, ast.ImportFrom):
            return self.has_module(node.module or "")
        if isinstance(node, ast.alias):
            return self.has_module(node.name)
        return self.has_name(name_of(node))


@dataclass(frozen=True)
class Span:
    """A part of a text, from one offset up to another."""

    start: int
    end: int


def python(text: str, gone: Gone) -> str:
    """The module without what speaks of it, and without what used that."""
    while True:
        tree = ast.parse(text)
        spans, names = cuts(text, tree, gone)
        text = without(text, spans)
        if names <= gone.dropped:
            return text
        gone = replace(gone, dropped=gone.dropped | names)


def has_tests(text: str) -> bool:
    """Whether pytest would find a test in this module."""
    return re.search(r"^\s*def test_", text, re.MULTILINE) is not None


def stands_on(text: str, gone: Gone) -> bool:
    """Whether all names of this module come from what is gone."""
    modules = re.findall(r"^from ([\w.]+) import \*", text, re.MULTILINE)
    return any(map(gone.has_module, modules))


def document(text: str, gone: Gone) -> str:
    """Markdown, a Makefile, YAML, TOML: without the lines that mention it.

    What is indented below such a line goes with it, and so does a comment
    directly above; a block of code that is empty then goes, too.
    """
    kept: list[str] = []
    depth: int | None = None  # of the line whose block is left out
    for line in text.splitlines(keepends=True):
        if depth is not None and indentation(line) > depth:
            continue
        depth = None
        if gone.lines.search(line):
            while not is_comment(line) and kept and is_comment(kept[-1]):
                kept.pop()
            depth = indentation(line)
        else:
            kept.append(line)
    return tidy("".join(kept))


def contracts(text: str, gone: Gone) -> str:
    """The layers of import-linter without the packages that are gone."""
    text = "".join(
        line
        for line in text.splitlines(keepends=True)
        if not is_made_of(line, gone)
    )
    sections = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    return "".join(filter(is_whole, sections)).rstrip() + "\n"


def cuts(
    text: str, tree: ast.Module, gone: Gone
) -> tuple[list[Span], frozenset[str]]:
    """What to leave out of a module, and the names that go with it."""
    lines = Lines(text)
    spans: list[Span] = []
    names: set[str] = set()
    for statement in statements(tree.body, gone):
        elements = elements_of(statement, gone)
        if elements is None:
            spans.append(lines.of_statement(statement))
            names |= names_bound_by(statement)
        else:
            spans += [lines.of_element(*each) for each in elements]
    return spans, frozenset(names)


def statements(body: list[ast.stmt], gone: Gone) -> Iterator[ast.stmt]:
    """Those that speak of it: as small as may go without the others."""
    for statement in body:
        if is_docstring(statement) or not gone.is_in(statement):
            continue
        parts = getattr(statement, "body", [])
        if isinstance(statement, ast.ClassDef) or is_step(statement, gone):
            parts = [part for part in parts if gone.is_in(part)]
        else:
            parts = []
        if parts:
            yield from statements(parts, gone)
        else:
            yield statement


def is_step(statement: ast.stmt, gone: Gone) -> bool:
    """Whether it is a helper that does without some of its calls."""
    if not isinstance(statement, ast.FunctionDef):
        return False
    return not statement.name.startswith("test_") and all(
        isinstance(part, ast.Expr) or elements_of(part, gone) is not None
        for part in statement.body
        if gone.is_in(part)
    )


def elements_of(
    statement: ast.stmt, gone: Gone
) -> list[tuple[list[Span], int]] | None:
    """The elements that go, when the rest of the statement can stay.

    Each comes with its neighbours: the places of all elements of its
    container, and which of them it is. None when it speaks of it elsewhere.
    """
    found: list[tuple[Container, int]] = []
    if not find_elements(statement, gone, found):
        return None
    return [(places(container), index) for container, index in found]


def find_elements(
    node: ast.AST,
    gone: Gone,
    found: list[tuple[Container, int]],
    nested: bool = False,
) -> bool:
    """Collect elements; whether nothing outside of them speaks of it."""
    if gone.is_at(node):
        return False
    if isinstance(node, ast.Tuple) and nested:
        return not gone.is_in(node)  # a row of a table goes as a whole
    if isinstance(node, Container) and not is_target(node):
        for index, parts in enumerate(entries(node)):
            inner: list[tuple[Container, int]] = []
            whole = all(
                find_elements(part, gone, inner, True) for part in parts
            )
            found += inner if whole else [(node, index)]
        return True
    return all(
        find_elements(child, gone, found, nested)
        for child in ast.iter_child_nodes(node)
    )


def is_target(node: Container) -> bool:
    """Whether it is assigned to: `a, b = …`."""
    return isinstance(getattr(node, "ctx", None), ast.Store)


def entries(node: Container) -> list[list[ast.expr]]:
    """The elements of a container; of a mapping, keys with values."""
    if isinstance(node, ast.Dict):
        return [
            [value] if key is None else [key, value]
            for key, value in zip(node.keys, node.values, strict=True)
        ]
    return [[element] for element in node.elts]


def places(node: Container) -> list[Span]:
    """Where the elements are, as packed lines and columns; see Lines."""
    return [
        Span(
            packed(parts[0].lineno, parts[0].col_offset),
            packed(parts[-1].end_lineno, parts[-1].end_col_offset),
        )
        for parts in entries(node)
    ]


def names_bound_by(statement: ast.stmt) -> set[str]:
    """The names that others in the file may use, and now miss."""
    if isinstance(statement, Function):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {
            (alias.asname or alias.name).partition(".")[0]
            for alias in statement.names
        }
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return {
            node.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
    return set()


def name_of(node: ast.AST) -> str:
    """The name a node uses, if that is what it does."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.arg):
        return node.arg
    return node.attr if isinstance(node, ast.Attribute) else ""


def is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(
        statement.value, ast.Constant
    )


class Lines:
    """Finds what the syntax tree names by line and column."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))

    def of_statement(self, statement: ast.stmt) -> Span:
        """Its lines, with its decorators and the comment above it."""
        first = statement.lineno
        if isinstance(statement, Function):
            first = min(
                [first, *(each.lineno for each in statement.decorator_list)]
            )
        return self.of_lines(first, statement.end_lineno or first)

    def of_element(self, neighbours: list[Span], index: int) -> Span:
        """It and its comma; whole lines where it has them to itself."""
        start = self.offset(neighbours[index].start)
        end = self.offset(neighbours[index].end)
        comma = re.compile(r"[)\s]*,?").match(self.text, end)
        end = end if comma is None else max(end, comma.end())
        if self.text[end - 1] != ",":
            end = self.offset(neighbours[index].end)
        first, last = self.line_at(start), self.line_at(end - 1)
        before = self.text[self.starts[first - 1] : start].strip()
        after = self.text[end : self.starts[last]].strip()
        if not before and (not after or after.startswith("#")):
            return self.of_lines(first, last)
        if index and self.text[end - 1] != ",":
            return Span(self.offset(neighbours[index - 1].end), end)
        return Span(start, end)

    def of_lines(self, first: int, last: int) -> Span:
        """Whole lines, and a comment directly above the first of them."""
        while first > 1 and self.lines[first - 2].lstrip().startswith("#"):
            first -= 1
        return Span(self.starts[first - 1], self.starts[last])

    def offset(self, place: int) -> int:
        """The offset of a packed line and column (which is in bytes)."""
        line, column = divmod(place, COLUMNS)
        before = self.lines[line - 1].encode()[:column].decode()
        return self.starts[line - 1] + len(before)

    def line_at(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


COLUMNS = 10_000


def packed(line: int | None, column: int | None) -> int:
    """A line and a column as one number."""
    return (line or 0) * COLUMNS + (column or 0)


def without(text: str, spans: list[Span]) -> str:
    """The text without some parts, which may lie within each other."""
    kept, position = [], 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        kept.append(text[position : max(position, span.start)])
        position = max(position, span.end)
    return "".join([*kept, text[position:]])


def is_comment(line: str) -> bool:
    """Whether it is one in YAML, TOML or a Makefile, not a title."""
    return re.match(r"\s*#(?: .*)?$", line) is not None


def indentation(line: str) -> float:
    """How far a line is indented; a list's item counts as its dash."""
    bare = line.lstrip(" \t")
    return len(line) - len(bare) if bare.strip() else float("-inf")


def tidy(text: str) -> str:
    """Without blocks of code, targets and blank lines that hold nothing."""
    text = re.sub(
        r"^( *)```[\w ]*\n(?: *#.*\n|\s*\n)*\1```\n\n?", "", text, flags=re.M
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def is_made_of(line: str, gone: Gone) -> bool:
    """Whether a line lists packages, all of which are gone."""
    listed = re.split(r"[|:\s]+", line.strip())
    return line[0].isspace() and all(
        gone.has_module(name.strip("()").removesuffix(".*")) for name in listed
    )


def is_whole(section: str) -> bool:
    """Whether no list of a contract has lost all its members."""
    return not re.search(
        r"^(?:source_modules|forbidden_modules|containers|layers) =\n"
        r"(?=\S|\s*\Z)",
        section,
        re.MULTILINE,
    )
