"""The source of functions, and what the names in it stand for."""

from __future__ import annotations

import ast
import builtins
import inspect
import os
import sys
import tokenize
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from django_hookflow.workflows.wrapper import WorkflowWrapper

MISSING = object()
# A source can be missing, not be text, or be a newer one.
UNREADABLE = (OSError, SyntaxError, ValueError)


@dataclass(frozen=True, slots=True)
class File:
    functions: Mapping[int, ast.FunctionDef]  # by their first line
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its source, and the values of the names around it."""

    node: ast.FunctionDef
    path: str
    names: Mapping[str, Any]  # of its closure, its module and Python
    closure: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """The meaning of a name; `value` is MISSING if it is not imported."""

    path: str  # such as "django.utils.timezone.now"
    value: Any = MISSING

    def attribute(self, name: str) -> Known:
        """Return an attribute; nothing is executed to find it."""
        if not isinstance(self.value, ModuleType | type):
            return Known(f"{self.path}.{name}")
        if isinstance(self.value, ModuleType):
            value = vars(self.value).get(name, MISSING)
        else:
            value = inspect.getattr_static(self.value, name, MISSING)
        return known(value, f"{self.path}.{name}")


def known(value: Any, path: str) -> Known:
    """Return a value by the name that it has where it was made."""
    if isinstance(value, ModuleType):
        return Known(value.__name__, value)
    if inspect.isroutine(value) or isinstance(value, type):
        owner = getattr(value, "__self__", None)
        module = getattr(value, "__module__", None)
        if module is None and owner is not None:
            module = type(owner).__module__  # random.random, of an instance
        name = getattr(value, "__qualname__", None)
        return Known(f"{module}.{name}" if module and name else path, value)
    if isinstance(value, WorkflowWrapper):
        return Known("<workflow>", value)
    return Known(path, value)


def imported(module: str, name: str | None = None) -> Known:
    """Return what an import statement binds, without importing it."""
    found = known(sys.modules.get(module, MISSING), module)
    return found if name is None else found.attribute(name)


def read(function: Any) -> Function | None:
    """Return a function with its source; None where that cannot be read."""
    plain = inspect.unwrap(function)
    if not inspect.isfunction(plain):
        return None
    code = plain.__code__
    file = read_file(code.co_filename)
    node = file and file.functions.get(code.co_firstlineno)
    if not node or node.name != code.co_name:
        return None  # a lambda, or the file has changed
    closure = _closure(plain)
    names = ChainMap(closure, plain.__globals__, vars(builtins))
    return Function(node, code.co_filename, names, closure)


def read_file(path: str) -> File | None:
    """Return a file by its functions; None where it cannot be read."""
    try:
        return _parsed(path, os.stat(path).st_mtime_ns)
    except UNREADABLE:
        return None


@lru_cache(maxsize=64)
def _parsed(path: str, changed_at: int) -> File:
    with tokenize.open(path) as file:
        text = file.read()
    functions = {
        min([node.lineno, *(d.lineno for d in node.decorator_list)]): node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    return File(functions, tuple(text.splitlines()))


def _closure(function: Any) -> dict[str, Any]:
    found = {}
    cells = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return found
