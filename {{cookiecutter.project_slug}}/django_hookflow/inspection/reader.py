"""Reads the source of a workflow into the blocks of program.py.

The function is followed from top to bottom, as Python would execute it, and
so are the functions of its module that it calls. Functions that are given to
a step are not: what they do is recorded.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from types import FunctionType
from typing import Any
from typing import TypeAlias

from django_hookflow.inspection.meanings import PLAIN
from django_hookflow.inspection.meanings import Constant
from django_hookflow.inspection.meanings import Context
from django_hookflow.inspection.meanings import Fluent
from django_hookflow.inspection.meanings import Given
from django_hookflow.inspection.meanings import Local
from django_hookflow.inspection.meanings import Manager
from django_hookflow.inspection.meanings import Meaning
from django_hookflow.inspection.meanings import Named
from django_hookflow.inspection.meanings import Undo
from django_hookflow.inspection.meanings import is_on
from django_hookflow.inspection.meanings import merged
from django_hookflow.inspection.meanings import text_of
from django_hookflow.inspection.meanings import undo_of
from django_hookflow.inspection.meanings import unknown
from django_hookflow.inspection.program import Block
from django_hookflow.inspection.program import Branch
from django_hookflow.inspection.program import CallUse
from django_hookflow.inspection.program import Handler
from django_hookflow.inspection.program import Inline
from django_hookflow.inspection.program import Item
from django_hookflow.inspection.program import Jump
from django_hookflow.inspection.program import Loop
from django_hookflow.inspection.program import Place
from django_hookflow.inspection.program import StepUse
from django_hookflow.inspection.program import Try
from django_hookflow.inspection.program import UndoUse
from django_hookflow.inspection.source import Function
from django_hookflow.inspection.source import Known
from django_hookflow.inspection.source import imported
from django_hookflow.inspection.source import known
from django_hookflow.inspection.source import read
from django_hookflow.steps.options import DECLARED
from django_hookflow.workflows.registry import get_workflow
from django_hookflow.workflows.wrapper import WorkflowWrapper

# The argument of each kind of step that says what it does.
DETAILS = {
    "run": (1, "fn"),
    "call": (1, "url"),
    "sleep": (1, "seconds"),
    "sleep_until": (1, "when"),
    "wait_for_event": (1, "name"),
    "ask": (None, "group"),
    "invoke": (1, "workflow"),
    "map": (1, "fn"),
    "parallel": (None, ""),
    "until": (1, "fn"),
    "first": (None, ""),
    "start_workflow": (0, "workflow"),
}
AMBIGUOUS = ("run", "call")  # kinds that can fail after their effect
Comprehension: TypeAlias = (
    ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
)

MOST_CALLS = 500  # of functions that are followed; the rest is left out
LONGEST = 48  # characters of an expression for people


def program_of(workflow: WorkflowWrapper) -> Block | None:
    """Return the steps of a workflow; None where it has no source."""
    function = read(workflow.function)
    if function is None:
        return None
    arguments = function.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    scope: dict[str, Meaning] = {name: Context() for name in names[:1]}
    reader = Reader(function, scope, (function.node,), count())
    return reader.body(function.node)


class Reader:
    """Follows one function."""

    def __init__(
        self,
        function: Function,
        scope: dict[str, Meaning],
        callers: tuple[ast.AST, ...],
        calls: Iterator[int],
    ) -> None:
        self.function = function
        self.scope = scope
        self.callers = callers
        self.calls = calls  # counts the functions that are followed
        self.items: list[Item] = []
        self.returned: Meaning = Constant(None)
        self.labels: dict[ast.AST, str] = {}  # of the steps, by their calls

    def body(self, node: ast.FunctionDef) -> Block:
        for name in _locals_of(node):
            self.scope.setdefault(name, unknown(name))
        return self.block(node.body)

    def block(self, statements: Iterable[ast.stmt]) -> Block:
        with self.inside() as block:
            for statement in statements:
                self.statement(statement)
        return block

    @contextmanager
    def inside(self) -> Iterator[Block]:
        """Put what is found into a block of its own."""
        block = Block()
        outer, self.items = self.items, block.items
        yield block
        self.items = outer

    @contextmanager
    def arm(self, arms: list[dict[str, Meaning]]) -> Iterator[Block]:
        """Read one of several blocks, each with the names from before."""
        before, self.scope = self.scope, dict(self.scope)
        with self.inside() as block:
            yield block
        if not (block.items and isinstance(block.items[-1], Jump)):
            arms.append(self.scope)
        self.scope = before

    def place(self, node: ast.stmt | ast.expr | ast.ExceptHandler) -> Place:
        return Place(self.function.path, node.lineno)

    # Statements.

    def statement(self, node: ast.AST) -> None:
        do = getattr(self, f"do_{type(node).__name__}", self.do_other)
        do(node)

    def do_other(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child)
            else:
                self.statement(child)

    def do_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: N802
        """Its methods are called elsewhere."""

    def do_FunctionDef(self, node: ast.FunctionDef) -> None:  # noqa: N802
        self.scope[node.name] = Local(node, self.scope)

    def do_Import(self, node: ast.Import) -> None:  # noqa: N802
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.split(".")[0]
            self.scope[alias.asname or name] = imported(name)

    def do_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: N802
        package = self.function.names.get("__package__") or ""
        parts = package.split(".")
        above = parts[: len(parts) - node.level + 1] if node.level else []
        module = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            name = alias.asname or alias.name
            self.scope[name] = imported(module, alias.name)

    def do_Assign(self, node: ast.Assign) -> None:  # noqa: N802
        meaning = self.value(node.value)
        for target in node.targets:
            self.assign(target, meaning)

    def do_AnnAssign(self, node: ast.AnnAssign) -> None:  # noqa: N802
        if node.value is not None:
            self.assign(node.target, self.value(node.value))

    def do_AugAssign(self, node: ast.AugAssign) -> None:  # noqa: N802
        self.value(node.value)
        self.forget([node.target])

    def assign(self, target: ast.expr, meaning: Meaning) -> None:
        if isinstance(target, ast.Name):
            self.scope[target.id] = meaning
        else:
            self.forget([target])

    def forget(self, nodes: Iterable[ast.AST]) -> None:
        """Drop the meanings of names that are assigned there."""
        for name in _stored(nodes):
            self.scope[name] = unknown(name)

    def do_If(self, node: ast.If) -> None:  # noqa: N802
        self.value(node.test)
        match self.decided(node.test):
            case True:
                self.items += self.block(node.body).items
            case False:
                self.items += self.block(node.orelse).items
            case _:
                cases = [("yes", node.body), ("no", node.orelse)]
                self.branch(self.text(node.test), cases)

    def do_Match(self, node: ast.Match) -> None:  # noqa: N802
        self.value(node.subject)
        for case in node.cases:
            self.forget_captured(case.pattern)
            if case.guard:
                self.value(case.guard)
        cases = [(self.label_of(case), case.body) for case in node.cases]
        if not any(map(_takes_all, node.cases)):
            cases.append(("other", []))
        self.branch(self.text(node.subject), cases)

    def label_of(self, case: ast.match_case) -> str:
        guard = f" if {self.text(case.guard)}" if case.guard else ""
        return f"{ast.unparse(case.pattern)}{guard}"

    def forget_captured(self, pattern: ast.pattern) -> None:
        for node in ast.walk(pattern):
            if name := getattr(node, "name", None):
                self.scope[name] = unknown(name)

    def branch(self, test: str, cases: list[tuple[str, Any]]) -> None:
        arms: list[dict[str, Meaning]] = []
        blocks = []
        for label, statements in cases:
            with self.arm(arms) as block:
                for statement in statements:
                    self.statement(statement)
            blocks.append((label, block))
        self.scope = merged(arms, self.scope)
        self.items.append(Branch(test, tuple(blocks)))

    def do_For(self, node: ast.For) -> None:  # noqa: N802
        self.value(node.iter)
        self.forget([node.target, *node.body])
        target, items = ast.unparse(node.target), self.text(node.iter)
        loop = Loop(f"for {target} in {items}", self.block(node.body))
        self.items.append(loop)
        self.items += self.block(node.orelse).items

    def do_While(self, node: ast.While) -> None:  # noqa: N802
        self.forget(node.body)
        with self.inside() as block:
            self.value(node.test)
            for statement in node.body:
                self.statement(statement)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        text = f"while {self.text(node.test)}"
        self.items.append(Loop(text, block, endless))
        self.items += self.block(node.orelse).items

    def do_Try(self, node: ast.Try) -> None:  # noqa: N802
        arms: list[dict[str, Meaning]] = []
        with self.arm(arms) as body:
            for statement in (*node.body, *node.orelse):
                self.statement(statement)
        self.forget(node.body)
        handlers = [self.handler(one, arms) for one in node.handlers]
        self.scope = merged(arms, self.scope)
        finally_ = self.block(node.finalbody)
        self.items.append(Try(body, tuple(handlers), finally_))

    do_TryStar = do_Try  # noqa: N815

    def handler(
        self, node: ast.ExceptHandler, arms: list[dict[str, Meaning]]
    ) -> Handler:
        types = self.types(node.type)
        with self.arm(arms) as block:
            if node.name:
                self.scope[node.name] = unknown(node.name)
            for statement in node.body:
                self.statement(statement)
        return Handler(
            label=ast.unparse(node.type) if node.type else "",
            body=block,
            place=self.place(node),
            catches_all=node.type is None or BaseException in types,
            raises=any(
                isinstance(inner, ast.Raise)
                for statement in node.body
                for inner in ast.walk(statement)
            ),
        )

    def types(self, node: ast.expr | None) -> list[Any]:
        if isinstance(node, ast.Tuple):
            return [kind for one in node.elts for kind in self.types(one)]
        meaning = self.value(node) if node else None
        return [meaning.value] if isinstance(meaning, Known) else []

    def do_Return(self, node: ast.Return) -> None:  # noqa: N802
        if node.value is not None:
            self.returned = self.value(node.value)
        text = self.text(node.value) if node.value else ""
        self.items.append(Jump("return", text, self.place(node)))

    def do_Raise(self, node: ast.Raise) -> None:  # noqa: N802
        self.do_other(node)
        made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        text = self.text(made) if made else ""
        self.items.append(Jump("raise", text, self.place(node)))

    def do_Break(self, node: ast.Break) -> None:  # noqa: N802
        self.items.append(Jump("break", "", self.place(node)))

    def do_Continue(self, node: ast.Continue) -> None:  # noqa: N802
        self.items.append(Jump("continue", "", self.place(node)))

    # Expressions.

    def value(self, node: ast.AST) -> Meaning:
        """Note the steps and calls of an expression, and return its meaning.

        They are noted in the order in which Python evaluates them.
        """
        read_it = getattr(self, f"of_{type(node).__name__}", self.of_other)
        meaning: Meaning = read_it(node)
        return meaning

    def of_other(self, node: ast.AST) -> Meaning:
        for child in ast.iter_child_nodes(node):
            self.value(child)
        return unknown("value")

    def of_Lambda(self, node: ast.Lambda) -> Meaning:  # noqa: N802
        return unknown("lambda")

    def of_Constant(self, node: ast.Constant) -> Meaning:  # noqa: N802
        return Constant(node.value)

    def of_Name(self, node: ast.Name) -> Meaning:  # noqa: N802
        if node.id in self.scope:
            return self.scope[node.id]
        if node.id not in self.function.names:
            return unknown(node.id)
        value = self.function.names[node.id]
        if isinstance(value, PLAIN):
            return Constant(value)
        return known(value, f"<{node.id}>")

    def of_NamedExpr(self, node: ast.NamedExpr) -> Meaning:  # noqa: N802
        meaning = self.value(node.value)
        self.assign(node.target, meaning)
        return meaning

    def of_Attribute(self, node: ast.Attribute) -> Meaning:  # noqa: N802
        return self.attribute(self.value(node.value), node.attr)

    def attribute(self, base: Meaning, name: str) -> Meaning:
        match base:
            case Context() if name == "step":
                return Manager()
            case Context():
                return Known(f"<ctx>.{name}")
            case Known():
                return base.attribute(name)
            case _:
                return unknown(name)

    def of_UnaryOp(self, node: ast.UnaryOp) -> Meaning:  # noqa: N802
        operand = self.value(node.operand)
        if isinstance(node.op, ast.Not) and isinstance(operand, Constant):
            return Constant(not operand.value)
        return unknown("value")

    def of_IfExp(self, node: ast.IfExp) -> Meaning:  # noqa: N802
        self.value(node.test)
        match self.decided(node.test):
            case True:
                return self.value(node.body)
            case False:
                return self.value(node.orelse)
        with self.inside() as yes:
            self.value(node.body)
        with self.inside() as no:
            self.value(node.orelse)
        cases = (("yes", yes), ("no", no))
        self.items.append(Branch(self.text(node.test), cases))
        return unknown("value")

    def of_BoolOp(self, node: ast.BoolOp) -> Meaning:  # noqa: N802
        first, *others = node.values
        self.value(first)
        test, label = self.text(first), "yes"
        if isinstance(node.op, ast.Or):
            label = "no"
        for other in others:
            with self.inside() as block:
                self.value(other)
            passing = "no" if label == "yes" else "yes"
            cases = ((label, block), (passing, Block()))
            self.items.append(Branch(test, cases))
            test = self.text(other)
        return unknown("value")

    def of_comprehension(self, node: Comprehension) -> Meaning:
        first, *_ = node.generators
        self.value(first.iter)
        kept = self.scope
        self.scope = dict(kept)
        self.forget(generator.target for generator in node.generators)
        parts = [c for g in node.generators for c in g.ifs]
        parts += [g.iter for g in node.generators[1:]]
        with self.inside() as block:
            for part in (*parts, *_results_of(node)):
                self.value(part)
        self.scope = kept
        target, items = ast.unparse(first.target), self.text(first.iter)
        self.items.append(Loop(f"for {target} in {items}", block))
        return unknown("value")

    of_ListComp = of_SetComp = of_comprehension  # noqa: N815
    of_DictComp = of_GeneratorExp = of_comprehension  # noqa: N815

    def of_Call(self, node: ast.Call) -> Meaning:  # noqa: N802
        name = ""
        if isinstance(node.func, ast.Attribute):
            base, name = self.value(node.func.value), node.func.attr
        else:
            base = self.value(node.func)
        match base:
            case Manager():
                return self.call_of_manager(base, name, node)
            case Fluent():
                return self.call_of_fluent(base, name, node)
            case Context():
                return self.call_of_context(name, node)
        target = self.attribute(base, name) if name else base
        given = self.arguments(node)
        if named := _named_workflow(target, given):
            return named
        if getattr(target, "path", "").endswith(".Compensation"):
            return Undo(_undo(given))
        if found := self.followed(target):
            return self.inline(found, given, _name_of(node.func))
        return self.plain_call(target, node)

    def arguments(self, node: ast.Call) -> dict[int | str, Given]:
        """Return the arguments by their position or name."""
        given: dict[int | str, Given] = {}
        for position, argument in enumerate(node.args):
            given[position] = self.given(argument)
        for keyword in node.keywords:
            given[keyword.arg or "**"] = self.given(keyword.value)
        return given

    def given(self, node: ast.expr) -> Given:
        meaning = self.value(node)
        return Given(meaning, self.text(node))

    def plain_call(self, target: Meaning, node: ast.Call) -> Meaning:
        path = target.path if isinstance(target, Known) else "<value>"
        use = CallUse(
            path,
            self.text(node.func),
            self.place(node),
            bool(node.args or node.keywords),
        )
        self.items.append(use)
        return Known(f"{path}()")

    # Functions that are followed.

    def followed(self, target: Meaning) -> Reader | None:
        """Return a reader of a function that is code of the workflow."""
        match target:
            case Local(node, scope):
                function = replace(self.function, node=node)
                names = dict(scope)
            case Known(_, value) if self.is_ours(value):
                found = read(value)
                if found is None:
                    return None
                function, names = found, {}
            case _:
                return None
        if function.node in self.callers or next(self.calls) >= MOST_CALLS:
            return None
        callers = (*self.callers, function.node)
        return Reader(function, names, callers, self.calls)

    def is_ours(self, value: Any) -> bool:
        """True for a function of the same module."""
        if not isinstance(value, FunctionType | WorkflowWrapper):
            return False
        plain = inspect.unwrap(value)
        module = self.function.names.get("__name__")
        return inspect.isfunction(plain) and plain.__module__ == module

    def inline(
        self, reader: Reader, given: Mapping[int | str, Given], name: str
    ) -> Meaning:
        body = reader.called_with(given)
        self.items.append(Inline(name, body))
        return reader.returned

    def called_with(self, given: Mapping[int | str, Given]) -> Block:
        node = self.function.node
        arguments = node.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        for name in _locals_of(node):
            self.scope[name] = unknown(name)
        for key, one in given.items():
            if isinstance(key, str):
                self.scope[key] = one.meaning
            elif key < len(names):
                self.scope[names[key]] = one.meaning
        return self.block(node.body)

    # Steps.

    def call_of_manager(
        self, manager: Manager, name: str, node: ast.Call
    ) -> Meaning:
        if not name:
            return Fluent(node, manager.options)
        given = self.arguments(node)
        if name == "options":
            said = {k: v for k, v in given.items() if isinstance(k, str)}
            return Manager({**manager.options, **said})
        if name in DETAILS:
            self.step(name, node, given, manager.options)
        return unknown("result")

    def call_of_fluent(
        self, fluent: Fluent, name: str, node: ast.Call
    ) -> Meaning:
        if name == "run":
            given = self.arguments(fluent.call)
            self.step("run", fluent.call, given, fluent.options)
            self.labels[node] = self.labels[fluent.call]
            return unknown("result")
        given = self.arguments(node)
        option = given.get(0, Given(Constant(True), "True"))
        if name == "compensate":
            use = undo_of(option) or UndoUse(option.text)
            has_when = use.has_when or "when" in given or 1 in given
            option = Given(Undo(replace(use, has_when=has_when)), "")
        return Fluent(fluent.call, {**fluent.options, name: option})

    def call_of_context(self, name: str, node: ast.Call) -> Meaning:
        if name == "step":
            return Fluent(node, {})
        given = self.arguments(node)
        if name == "start_workflow":
            self.step(name, node, given, {})
        elif name == "continue_as_new":
            self.items.append(Jump("continue_as_new", "", self.place(node)))
        return Known(f"<ctx>.{name}()")

    def step(
        self,
        kind: str,
        node: ast.Call,
        given: Mapping[int | str, Given],
        options: Mapping[str, Given],
    ) -> None:
        named = self.named(kind, given)
        options = {**_declared(kind, given), **options}
        undo = undo_of(options.get("compensate"))
        timeout = options.get("timeout") or given.get("timeout")
        unclear = is_on(timeout) or is_on(options.get("at_most_once"))
        use = StepUse(
            kind=kind,
            step_id=text_of(named).removeprefix("f'").removesuffix("'"),
            place=self.place(node),
            is_literal=isinstance(named.meaning, Constant),
            detail=_detail(kind, given),
            undo=undo,
            may_be_unknown=kind in AMBIGUOUS and unclear,
            branches=tuple(self.branches(kind, node, given)),
        )
        self.labels[node] = use.step_id
        self.items.append(use)

    def named(self, kind: str, given: Mapping[int | str, Given]) -> Given:
        """Return the id of a step."""
        nothing = Given(unknown("step_id"), "…")
        if kind != "start_workflow":
            return given.get(0) or given.get("step_id") or nothing
        if "step_id" in given:
            return given["step_id"]
        started = given.get(0) or given.get("workflow") or nothing
        name = f"start {text_of(started)}"
        is_known = isinstance(started.meaning, Constant) or hasattr(
            getattr(started.meaning, "value", None), "workflow_id"
        )
        return Given(Constant(name) if is_known else nothing.meaning, name)

    def branches(
        self, kind: str, node: ast.Call, given: Mapping[int | str, Given]
    ) -> Iterator[tuple[str, Block]]:
        """Yield the branches of a fan-out by their names."""
        if kind == "map" and (fn := given.get(1) or given.get("fn")):
            yield "each", self.branch_body(fn.meaning)
        dicts = [one for one in node.args[1:] if isinstance(one, ast.Dict)]
        for one in dicts if kind == "parallel" else []:
            for key, value in zip(one.keys, one.values, strict=True):
                with self.inside():
                    meaning = self.value(_function_in(value))
                name = self.given(key) if key else Given(meaning, "…")
                yield text_of(name), self.branch_body(meaning)

    def branch_body(self, meaning: Meaning) -> Block:
        """Return what a branch does; empty where it is as one step."""
        reader = self.followed(meaning)
        block = reader.called_with({}) if reader else Block()
        return block if block.has_steps() else Block()

    # Texts.

    def decided(self, test: ast.expr) -> bool | None:
        """Return a test that the closure of the function has decided."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            answer = self.decided(test.operand)
            return None if answer is None else not answer
        name = test.id if isinstance(test, ast.Name) else ""
        value = self.function.closure.get(name)
        return value if isinstance(value, bool) else None

    def text(self, node: ast.expr) -> str:
        """Return an expression for people, with steps by their ids."""
        text = ast.unparse(node)
        for inner in ast.walk(node):
            if inner in self.labels:
                text = text.replace(ast.unparse(inner), self.labels[inner])
        text = " ".join(text.split())
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _named_workflow(
    target: Meaning, given: Mapping[int | str, Given]
) -> Known | None:
    """Return the workflow that `get_workflow("its-id")` returns."""
    if not isinstance(target, Known) or target.value is not get_workflow:
        return None
    match given.get(0):
        case Given(Constant(str(workflow_id))):
            return Known("<workflow>", Named(workflow_id))
        case _:
            return None


def _declared(kind: str, given: Mapping[int | str, Given]) -> dict[str, Given]:
    """Return the options of `@step`, which the function itself has."""
    function = given.get(1) or given.get("fn")
    if kind != "run" or function is None:
        return {}
    value = getattr(function.meaning, "value", None)
    options = getattr(value, "__dict__", {}).get(DECLARED)
    if options is None:
        return {}
    return {
        name: Given(known(getattr(options, name), name), name)
        for name in ("timeout", "at_most_once", "compensate")
        if getattr(options, name) is not None
    }


def _detail(kind: str, given: Mapping[int | str, Given]) -> str:
    if kind == "first":
        return ", ".join(str(key) for key in given if key != 0)
    position, name = DETAILS[kind]
    found = given.get(name)
    if position is not None:
        found = given.get(position, found)
    if kind == "call" and found:
        method = given.get("method") or given.get(2)
        return f"{text_of(method) if method else 'GET'} {text_of(found)}"
    return text_of(found) if found else ""


def _undo(given: Mapping[int | str, Given]) -> UndoUse:
    undo = given.get(0) or given.get("undo")
    has_when = 1 in given or "when" in given
    return UndoUse(undo.text if undo else "", has_when)


def _name_of(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _takes_all(case: ast.match_case) -> bool:
    match case.pattern:
        case ast.MatchAs(pattern=None):
            return case.guard is None
        case _:
            return False


def _function_in(node: ast.expr) -> ast.expr:
    """Return the function of a branch, which may have arguments."""
    if isinstance(node, ast.Tuple) and node.elts:
        return node.elts[0]
    return node


def _results_of(node: Comprehension) -> list[ast.expr]:
    if isinstance(node, ast.DictComp):
        return [node.key, node.value]
    return [node.elt]


def _stored(nodes: Iterable[ast.AST]) -> list[str]:
    """Return the names that are assigned there."""
    return [
        inner.id
        for node in nodes
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    ]


def _locals_of(node: ast.FunctionDef) -> list[str]:
    """Return the arguments and variables of a function."""
    arguments = [a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)]
    return [*arguments, *_stored(node.body)]
