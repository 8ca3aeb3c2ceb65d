"""Recorded types that change with a deploy, or cannot be recorded."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from typing import NamedTuple

import pydantic
import pytest
from django.utils.safestring import SafeString
from django.utils.safestring import mark_safe
from rest_framework import serializers

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import SerializationError
from django_hookflow.serialization import dumps
from django_hookflow.serialization import loads
from django_hookflow.testing.world import World

HERE = sys.modules[__name__]


def declare(base: str, old: bool, *, slots: bool = False) -> Any:
    """Make `Quote` as it was before a deploy, or as it is after it."""
    made: Any
    if base == "dataclass":
        fields: list[Any] = [("price", int), ("gone", int)]
        if not old:
            fields = [
                ("price", int),
                ("unit", str, dataclasses.field(default="EUR")),
                ("lines", list, dataclasses.field(default_factory=list)),
            ]
        made = dataclasses.make_dataclass("Quote", fields, slots=slots)
    elif base == "pydantic":
        made = pydantic.create_model(
            "Quote",
            price=(int, ...),
            **{"gone": (int, ...)}
            if old
            else {"unit": (str, "EUR"), "lines": (list, [])},
        )
    else:
        names, defaults = (
            (["price", "gone"], None)
            if old
            else (["price", "unit", "lines"], ("EUR", []))
        )
        made = collections.namedtuple("Quote", names, defaults=defaults)  # type: ignore[misc]
    made.__module__ = __name__
    HERE.Quote = made  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    ("base", "slots"),
    [
        ("dataclass", False),
        ("dataclass", True),
        ("namedtuple", False),
        ("pydantic", False),
    ],
)
def test_what_was_recorded_gets_the_defaults_of_new_fields(
    every: World, base: str, slots: bool
) -> None:
    @workflow
    def offer(ctx: WorkflowContext) -> Any:
        quote = ctx.step.run(
            "price",
            lambda: HERE.Quote(price=5, gone=1),  # type: ignore[attr-defined]
        )
        ctx.step.sleep("think", "1d")
        return [quote.price, quote.unit, quote.lines, hasattr(quote, "gone")]

    declare(base, old=True, slots=slots)
    run_id = offer.trigger()
    every.deliver()
    declare(base, old=False, slots=slots)
    run = every.finish(run_id)

    assert (run.status, run.result) == ("completed", [5, "EUR", [], False])


@pytest.mark.parametrize("base", ["dataclass", "namedtuple", "pydantic"])
def test_a_new_field_without_a_default_says_that_it_cannot_be_read(
    every: World, base: str
) -> None:
    text = dumps(declare(base, old=False)(price=5), "It")
    declare(base, old=True)  # as if that were the younger

    with pytest.raises(SerializationError) as caught:
        loads(text)

    problem = (
        "its fields are not valid any more"
        if base == "pydantic"
        else "it was recorded without the field 'gone', which has no default"
    )
    assert str(caught.value) == (
        f"A recorded {__name__}:Quote cannot be read any more: {problem}. "
        "Deploy code that can read it, and replay the dead letter."
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"$dataclass":["django_hookflow.tests.engine.test_recorded_types:Shade",{}]}',
        '{"$flag":["django_hookflow.tests.engine.test_recorded_types:Shade",17]}',
        '{"$namedtuple":["builtins:dict",{}]}',
        '{"$model":["orders.gone","default",1]}',
        '{"$unheard":1}',
    ],
)
def test_what_cannot_be_read_is_one_error_whatever_its_class_says(
    text: str,
) -> None:
    with pytest.raises(SerializationError, match="cannot be read any more"):
        loads(text)


class Shade(enum.Enum):
    DARK = 1


class Login(pydantic.BaseModel):
    user: str
    token: pydantic.SecretStr


class Method(pydantic.BaseModel):
    name: str


class Card(Method):
    last4: str = "none"


class Sale(pydantic.BaseModel):
    paid_by: Method


class Pin(pydantic.BaseModel):
    at: pydantic.SkipValidation[Any] = None
    _seen: int = pydantic.PrivateAttr(default=0)


def pinned() -> Pin:
    pin = Pin()
    pin._seen = 1
    return pin


class Row(dict[str, int]):
    source = ""


def row() -> Row:
    made = Row(a=1)
    made.source = "csv"
    return made


class Slotted(str):
    __slots__ = ("more",)


@dataclasses.dataclass
class Note:
    text: str

    @functools.cached_property
    def length(self) -> int:
        return len(self.text)


@dataclasses.dataclass
class Rows(list[int]):
    name: str


@dataclasses.dataclass
class Late:
    at: int = dataclasses.field(init=False)


def noted(**more: Any) -> Note:
    note = Note("abc")
    vars(note).update(more)
    return note


UNEQUAL = "does not come back equal"
LOSSY: list[tuple[Any, str]] = [
    (Login(user="ada", token=pydantic.SecretStr("t0p")), UNEQUAL),
    (Sale(paid_by=Card(name="c", last4="4242")), UNEQUAL),
    (Pin(at=(1, 2)), UNEQUAL),
    (Pin(at=object()), UNEQUAL),
    (pinned(), UNEQUAL),
    (noted(by="ada"), "the attribute 'by' of Note is not a field"),
    (Rows("x"), "the list of Rows is not a field"),
    (Late(), "its field 'at' has no value"),
    (row(), "is not a type of plain data"),
    (Slotted("x"), "is not a type of plain data"),
    (collections.defaultdict(int, a=1), "is not a type of plain data"),
    (collections.Counter("a"), "is not a type of plain data"),
]


@pytest.mark.parametrize(("value", "problem"), LOSSY)
def test_what_would_lose_something_is_refused_before_it_is_retried(
    every: World, value: Any, problem: str
) -> None:
    done: list[int] = []

    @workflow
    def lossy(ctx: WorkflowContext) -> None:
        ctx.step.run("make", lambda: done.append(1) or [value])

    run = every.finish(lossy.trigger())

    assert (run.status, done) == ("failed", [1])
    assert problem in run.error_message
    assert "t0p" not in run.error_message


def test_what_a_cached_property_keeps_is_found_again() -> None:
    note = noted()
    assert note.length == 3

    back = loads(dumps(note, "It"))

    assert (back, back.length) == (note, 3)


class Pair(NamedTuple):
    left: int
    right: Any = None


class Serial(serializers.Serializer[Any]):
    name = serializers.CharField()


PLAIN: list[tuple[Any, Any, type]] = [
    (mark_safe("<b>"), "<b>", str),
    (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}, dict),
    (Serial({"name": "x"}).data, {"name": "x"}, dict),
    (Serial([{"name": "x"}], many=True).data, [{"name": "x"}], list),
    (Row(a=1), {"a": 1}, dict),
]


@pytest.mark.parametrize(("value", "plain", "kind"), PLAIN)
def test_a_subclass_that_adds_nothing_comes_back_as_its_base(
    value: Any, plain: Any, kind: type
) -> None:
    backs = loads(dumps({"v": value}, "It"))

    assert (backs["v"], type(backs["v"])) == (plain, kind)


def test_a_safe_string_is_a_key_and_an_argument_too() -> None:
    key = SafeString("k")

    assert loads(dumps({key: [key]}, "It")) == {"k": ["k"]}


def test_a_named_tuple_stays_one() -> None:
    back = loads(dumps(Pair(1, {2}), "It"))

    assert (back, type(back)) == (Pair(1, {2}), Pair)


SCRIPT = """
import dataclasses, enum, django; django.setup()
from django_hookflow.serialization import dumps
@dataclasses.dataclass
class Row: sku: str
class Color(enum.Enum): RED = 1
for value in (Row("A-1"), Color.RED):
    try: dumps(value, "It")
    except TypeError as refused: print(refused)
"""


def test_a_class_of_the_script_is_refused_where_it_is_written(
    tmp_path: Path,
) -> None:
    file = tmp_path / "import_rows.py"
    file.write_text(SCRIPT)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "PYTHONPATH": ".",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    done = subprocess.run(
        [sys.executable, file], env=env, capture_output=True, text=True
    )

    assert done.stdout.splitlines() == [
        f"It cannot be recorded: {name} is a class of the script that runs "
        "here, which no other process can find. Move it into a module. Use "
        "plain data, a dataclass or an id, and load the rest again where it "
        "is used."
        for name in ("Row", "Color")
    ], done.stderr
