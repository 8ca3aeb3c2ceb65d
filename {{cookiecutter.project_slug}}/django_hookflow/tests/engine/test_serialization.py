"""Values are read from the journal with their types, or refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import SerializationError
from django_hookflow.serialization import dumps
from django_hookflow.serialization import loads
from django_hookflow.testing.world import World

BERLIN = ZoneInfo("Europe/Berlin")
UNEQUAL = (
    "does not come back equal from its own JSON (a secret, or a subclass in a "
    "field of its base?)"
)


class Color(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mode(enum.IntFlag):
    FAST = 1


class Open(enum.Enum):
    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> Any:
        made = object.__new__(cls)
        made._name_, made._value_ = "OTHER", value
        return made


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    tags: set[str]
    made: bool = dataclasses.field(init=False, default=True)

    class Inner(enum.Enum):
        ONE = 1


class Pydanticish:
    """Has the two methods of a Pydantic model that the engine calls."""

    def __init__(self, name: str) -> None:
        self.name = name

    def model_dump(self, mode: str, round_trip: bool) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def model_validate(
        cls, fields: dict[str, Any], strict: bool, by_name: bool
    ) -> Pydanticish:
        return cls(**fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pydanticish) and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


class Older(Pydanticish):
    """As Pydantic before 2.11."""

    @classmethod
    def model_validate(  # type: ignore[override]
        cls, fields: dict[str, Any], strict: bool
    ) -> Pydanticish:
        return cls(**fields)


class OlderAliased(Pydanticish):
    @classmethod
    def model_validate(  # type: ignore[override]
        cls, fields: dict[str, Any], strict: bool
    ) -> Pydanticish:
        if "fullName" not in fields:
            raise ValueError("Field required")
        return cls(fields["fullName"])


class Aliased(Pydanticish):
    """`name: str = Field(alias="fullName")`."""

    @classmethod
    def model_validate(
        cls, fields: dict[str, Any], strict: bool, by_name: bool
    ) -> Pydanticish:
        key = "name" if by_name else "fullName"
        if key not in fields:
            raise ValueError("Field required")
        return cls(fields[key])


class Forgetful(Pydanticish):
    """Its validator replaces the name."""

    @classmethod
    def model_validate(
        cls, fields: dict[str, Any], strict: bool, by_name: bool
    ) -> Pydanticish:
        return cls("nobody")


class Unreadable(Pydanticish):
    """Its validator needs a field that its serializer leaves out."""

    @classmethod
    def model_validate(
        cls, fields: dict[str, Any], strict: bool, by_name: bool
    ) -> Pydanticish:
        raise ValueError("Field required")


ZONES = st.none() | st.sampled_from(
    [dt.UTC, dt.timezone(dt.timedelta(hours=1)), BERLIN, ZoneInfo("UTC")]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.times(timezones=ZONES)
    | st.timedeltas()
    | st.datetimes(timezones=ZONES, allow_imaginary=True)
    | st.sampled_from([Color.RED, Level.LOW, Point.Inner.ONE, Path("a/b")])
    | st.sampled_from([Access(3), Access.READ, Access(0), Mode.FAST, Mode(8)])
)
KEYS = st.none() | st.booleans() | st.integers() | st.text() | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(st.just("$tuple"), inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_every_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    text = dumps(value, "It")

    back = loads(text)

    assert (back, type(back)) == (value, type(value))
    assert dumps(back, "It") == text
    assert text.isascii()
    assert "\0" not in text


@pytest.mark.parametrize(
    "value",
    [
        Point(1, {"a", "b"}),
        [Point(1, set())],
        Pydanticish("x"),
        Aliased("x"),
        Older("x"),
        float("inf"),
        float("-inf"),
        {"b": 1, "a": 2},
        "\ud800 \0",
        Path("/a"),
        {"$dict": 1},
    ],
)
def test_special_values_come_back(value: Any) -> None:
    assert loads(dumps(value, "It")) == value
    assert list(map(repr, [loads(dumps(value, "It"))])) == [repr(value)] or (
        isinstance(value, Pydanticish | Point | list)
    )


def test_a_time_keeps_its_zone_and_not_only_its_offset() -> None:
    noon = dt.datetime(2026, 3, 28, 12, tzinfo=BERLIN)

    back = loads(dumps(noon, "It"))

    assert (back, back.tzinfo) == (noon, BERLIN)
    assert (back + dt.timedelta(days=1)).utcoffset() == dt.timedelta(hours=2)


@pytest.mark.parametrize(
    "zone", [None, dt.UTC, BERLIN], ids=["naive", "utc", "berlin"]
)
def test_the_second_of_two_equal_hours_stays_the_second(zone: Any) -> None:
    moment = dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zone)

    backs = loads(dumps([moment, moment.timetz()], "It"))

    assert [back.fold for back in backs] == [1, 1]
    assert [back.tzinfo for back in backs] == [zone, zone]
    assert backs[0].isoformat() == moment.isoformat()


def test_entries_of_before_are_read() -> None:
    text = """[{"$datetime":"2026-01-01T12:00:00+01:00"},{"$time":"12:00:00"},
        {"$enum":["django_hookflow.tests.engine.test_serialization:Access","READ"]}]"""

    moment, time, access = loads(text)

    assert moment == dt.datetime(2026, 1, 1, 11, tzinfo=dt.UTC)
    assert time == dt.time(12)
    assert access is Access.READ


def test_not_a_number_comes_back() -> None:
    assert repr(loads(dumps(float("nan"), "It"))) == "nan"


def test_a_row_is_kept_as_a_reference(db: None) -> None:
    user = User.objects.create(username="ann")
    text = dumps({"who": user}, "It")
    User.objects.update(username="bob")

    back = loads(text)

    assert (
        text == '{"who":{"$model":["auth.user","default",1]}}' or user.pk != 1
    )
    assert back["who"].username == "bob"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"a": [1, object()]},
            "It['a'][1] cannot be recorded: builtins.object is not a type of "
            "plain data. Use plain data, a dataclass or an id, and load the "
            "rest again where it is used.",
        ),
        (
            {object(): 1},
            "a key of It cannot be recorded: builtins.object is not a type of "
            "plain data. Use plain data, a dataclass or an id, and load the "
            "rest again where it is used.",
        ),
        (
            User(username="new"),
            "It cannot be recorded: auth.User is not saved, so it has no key."
            " Use plain data, a dataclass or an id, and load the rest "
            "again where it is used.",
        ),
        (
            Point,
            "It cannot be recorded: builtins.type is not a type of plain "
            "data. Use plain data, a dataclass or an id, and load the rest "
            "again where it is used.",
        ),
    ],
)
def test_what_cannot_be_kept_names_its_place(value: Any, message: str) -> None:
    with pytest.raises(SerializationError) as caught:
        dumps(value, "It")

    assert str(caught.value) == message


def test_a_class_that_cannot_be_found_again_is_refused() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    with pytest.raises(SerializationError, match="cannot be found again"):
        dumps(Local(1), "It")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            OlderAliased("x"),
            f"{__name__}:OlderAliased {UNEQUAL}",
        ),
        (
            Forgetful("x"),
            f"{__name__}:Forgetful {UNEQUAL}",
        ),
        (
            Unreadable("x"),
            f"{__name__}:Unreadable {UNEQUAL}",
        ),
        (
            Open(5),
            f"<Open.OTHER: 5> is not a member of {__name__}:Open",
        ),
        ([10**5000], "an int in it has more than 4,300 digits"),
    ],
    ids=["older model", "another model", "no model", "enum", "int"],
)
def test_what_could_not_be_read_again_is_not_recorded(
    value: Any, problem: str
) -> None:
    with pytest.raises(SerializationError) as caught:
        dumps(value, "It")

    assert str(caught.value) == (
        f"It cannot be recorded: {problem}. Use plain data, a dataclass "
        "or an id, and load the rest again where it is used."
    )


def test_a_member_that_has_gone_says_so() -> None:
    with pytest.raises(SerializationError, match=r"renamed or removed"):
        loads(
            '{"$enum":["django_hookflow.tests.engine.test_serialization:Color","BLUE"]}'
        )


def test_a_class_that_has_gone_says_so() -> None:
    with pytest.raises(SerializationError, match=r"moved or removed"):
        loads('{"$enum":["tests.nowhere:Color","RED"]}')


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(SerializationError, match="contains itself"):
        dumps(loop, "It")


def test_a_value_that_is_too_large_names_sizes(settings: Any) -> None:
    settings.DJANGO_HOOKFLOW_MAX_VALUE_BYTES = 1000

    with pytest.raises(SerializationError) as caught:
        dumps("x" * 2000, "The result of step 'report'")

    assert str(caught.value).startswith(
        "The result of step 'report' cannot be recorded: it takes 2,002 bytes"
        " and DJANGO_HOOKFLOW_MAX_VALUE_BYTES allows 1,000."
    )


def test_a_step_whose_result_cannot_be_kept_fails_without_a_second_try(
    every: World,
) -> None:
    calls: list[int] = []

    def charge() -> object:
        calls.append(1)
        return object()

    @workflow
    def unkept(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", charge)

    run = every.finish(unkept.trigger())

    assert calls == [1]
    assert run.status == "failed"
    assert "The result of step 'charge' cannot be recorded" in (
        run.error_message
    )


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "completed"),
        (object(), "failed"),
    ],
)
def test_the_final_result_is_kept_or_the_run_fails_in_one_delivery(
    every: World, result: Any, status: str
) -> None:
    @workflow
    def final(ctx: WorkflowContext) -> Any:
        return result

    run = every.finish(final.trigger())

    assert (run.status, run.deliveries) == (status, 1)


def test_a_dict_comes_back_in_its_order(every: World) -> None:
    orders: list[list[str]] = []

    @workflow
    def ordered(ctx: WorkflowContext) -> None:
        found = ctx.step.run("find", lambda: {"bb": 1, "a": 2})
        orders.append(list(found))
        ctx.step.sleep("nap", 1)

    every.finish(ordered.trigger())

    assert orders[0] == ["bb", "a"]
    assert all(order == orders[0] for order in orders)


def test_uuids_make_keys_too() -> None:
    key = uuid.uuid4()

    assert loads(dumps({key: Decimal("1.10")}, "It")) == {key: Decimal("1.10")}
    assert str(loads(dumps(Decimal("1.10"), "It"))) == "1.10"


def test_nothing_recorded_is_none() -> None:
    assert loads(None) is None
