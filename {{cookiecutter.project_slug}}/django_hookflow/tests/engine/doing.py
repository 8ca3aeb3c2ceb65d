"""Steps that note what they do; conftest.py begins each test with none."""

from __future__ import annotations

from typing import Any

from django_hookflow.exceptions import PermanentError

DONE: list[Any] = []


def note(what: Any) -> Any:
    DONE.append(what)
    return what


def undo(result: Any) -> None:
    note(f"undo {result}")


def refuse(result: Any) -> None:
    note(f"tried {result}")
    raise PermanentError(f"{result} is closed")
