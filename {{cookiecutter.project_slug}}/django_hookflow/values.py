"""Copy plain data, so that a step cannot change its arguments."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


def call_by_value(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call with copies; a replay does not call, and keeps the originals."""
    if ATOMS.issuperset(map(type, (*args, *kwargs.values()))):
        return function(*args, **kwargs)
    seen: dict[int, Any] = {}
    given = [_copied(value, seen) for value in args]
    named = {name: _copied(value, seen) for name, value in kwargs.items()}
    return function(*given, **named)


def _copied(value: Any, seen: dict[int, Any]) -> Any:
    """Copy containers and dataclasses, all the way down.

    All else, such as a row or a client, is returned as it is. `seen`: the
    copies by the id of their originals, which may contain themselves.
    """
    if type(value) in ATOMS:
        return value
    if id(value) in seen:
        return seen[id(value)]
    fill = _filler(value)
    if fill is None:
        return value
    if isinstance(value, tuple):
        return _tuple(value, [_copied(item, seen) for item in value])
    made = seen[id(value)] = copy.copy(value)
    fill(made, seen)
    return made


def _filler(value: Any) -> Callable[[Any, dict[int, Any]], None] | None:
    """Return the function that fills a copy; None when none is made."""
    for kind, fill in FILLERS.items():
        if isinstance(value, kind):
            return fill
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fill_fields
    return None


def _tuple(value: tuple[Any, ...], items: list[Any]) -> Any:
    make = getattr(value, "_make", None)  # of a named one
    return tuple(items) if make is None else make(items)


def _fill_dict(made: Any, seen: dict[int, Any]) -> None:
    for key, item in list(made.items()):
        made[key] = _copied(item, seen)


def _fill_list(made: Any, seen: dict[int, Any]) -> None:
    made[:] = [_copied(item, seen) for item in made]


def _fill_fields(made: Any, seen: dict[int, Any]) -> None:
    for field in dataclasses.fields(made):
        if hasattr(made, field.name):
            item = _copied(getattr(made, field.name), seen)
            object.__setattr__(made, field.name, item)


def _leave(made: Any, seen: dict[int, Any]) -> None:
    """Do nothing: its items cannot change, or _tuple copies them."""


FILLERS: dict[type, Callable[[Any, dict[int, Any]], None]] = {
    dict: _fill_dict,
    list: _fill_list,
    tuple: _leave,
    set: _leave,
    bytearray: _leave,
}
