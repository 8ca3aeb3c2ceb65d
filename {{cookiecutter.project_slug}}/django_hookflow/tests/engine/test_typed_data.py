"""Workflows that declare the types of their data and of their results."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from rest_framework import serializers
from typing_extensions import TypedDict

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import InvalidData
from django_hookflow.exceptions import RunConflict
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.workflows import registry
from django_hookflow.workflows.wrapper import WorkflowWrapper


@dataclass
class Item:
    sku: str
    amount: int


@dataclass
class Order:
    order_id: int
    items: list[Item]
    total: Decimal = Decimal(0)
    due: date | None = None


class Parcel(BaseModel):
    weight_in_grams: int = Field(alias="weight", gt=0)


class Address(TypedDict):
    street: str
    since: date


class Ticket(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=5)
    price = serializers.DecimalField(max_digits=6, decimal_places=2)
    owner = serializers.PrimaryKeyRelatedField(
        queryset=User.objects.all(), required=False
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=3), required=False
    )


class Show(serializers.Serializer[Any]):
    tickets = Ticket(many=True)


ITEM = {"sku": "a", "amount": 2}
GIVEN = {"order_id": 7, "items": [ITEM], "total": "9.90", "due": "2026-01-02"}
ORDER = Order(7, [Item("a", 2)], Decimal("9.90"), date(2026, 1, 2))


def echo(kind: Any) -> WorkflowWrapper:
    """Return a workflow that keeps what it got in the list `got`."""

    @workflow(workflow_id="echo", input=kind)
    def echo(ctx: WorkflowContext) -> None:
        got.append(ctx.data)
        ctx.step.sleep("pause", 1)

    return echo


got: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_got() -> None:
    got.clear()


@pytest.mark.parametrize(
    ("kind", "given", "recorded", "expected"),
    [
        (Order, GIVEN, {**GIVEN}, ORDER),
        (Order, ORDER, {**GIVEN}, ORDER),
        (
            Parcel,
            {"weight": 5},
            {"weight_in_grams": 5},
            Parcel(weight=5),
        ),
        (
            Address,
            {"street": "Here", "since": date(2026, 1, 2)},
            {"street": "Here", "since": "2026-01-02"},
            {"street": "Here", "since": date(2026, 1, 2)},
        ),
        (list[int], ["1", 2], [1, 2], [1, 2]),
        (dict[str, int], None, {}, {}),
        (int, 0, 0, 0),
        # What looks like a tag of the journal is data.
        (dict[str, str], {"$uuid": "x"}, {"$dict": [["$uuid", "x"]]},
         {"$uuid": "x"}),
        (float, float("inf"), {"$float": "inf"}, float("inf")),
        (
            Ticket,
            {"title": "pop", "price": "2.5"},
            {"title": "pop", "price": {"$decimal": "2.50"}},
            {"title": "pop", "price": Decimal("2.50")},
        ),
    ],
)  # fmt: skip
def test_data_is_recorded_plain_and_comes_back_typed(
    every: World, kind: Any, given: Any, recorded: Any, expected: Any
) -> None:
    run_id = echo(kind).trigger(given)

    assert every.run_of(run_id).data == recorded
    assert every.finish(run_id).status == "completed"
    assert got == [expected] * 2
    assert type(got[0]) is type(expected)


def test_a_serializer_gives_the_rows_that_its_data_refers_to(
    world: World,
) -> None:
    ada = User.objects.create(username="ada")
    given = {"title": "pop", "price": "1", "owner": ada.pk}

    world.finish(echo(Ticket).trigger(given))

    assert got[0]["owner"] == ada


@pytest.mark.parametrize(
    ("kind", "given", "errors"),
    [
        (
            Order,
            {"order_id": 7, "items": [ITEM, {"sku": "b", "amount": "two"}]},
            {
                "items.1.amount": "Input should be a valid integer, unable "
                "to parse string as an integer, given 'two'"
            },
        ),
        (
            Order,
            {"items": "none"},
            {
                "order_id": "Field required, given {'items': 'none'}",
                "items": "Input should be a valid list, given 'none'",
            },
        ),
        # An instance is not believed either.
        (
            Order,
            Order("x", []),  # type: ignore[arg-type]
            {
                "order_id": "Input should be a valid integer, unable to "
                "parse string as an integer, given 'x'"
            },
        ),
        (int, None, {"": "Input should be a valid integer, given {}"}),
        (
            bytes,
            b"\xff",
            {
                "": "'utf-8' codec can't decode byte 0xff in position 0: "
                "invalid utf-8"
            },
        ),
        (
            SecretStr,
            "secret",
            {
                "": "it does not come back equal from its own JSON (a "
                "secret, a subclass, or a class without __eq__?)"
            },
        ),
        (
            Ticket,
            {"title": "too long", "owner": 99, "tags": ["ok", "long"]},
            {
                "title": "Ensure this field has no more than 5 characters, "
                "given 'too long'",
                "price": "This field is required, given {'title': 'too "
                "long', 'owner': 99, 'tags': ['ok', 'long']}",
                "owner": 'Invalid pk "99" - object does not exist, given 99',
                "tags.1": "Ensure this field has no more than 3 characters, "
                "given 'long'",
            },
        ),
        (
            Show,
            {"tickets": [{"title": "pop", "price": 1}, {"title": "pop"}]},
            {
                "tickets.1.price": "This field is required, given {'title': "
                "'pop'}"
            },
        ),
    ],
)
def test_data_that_does_not_fit_starts_nothing(
    world: World, kind: Any, given: Any, errors: dict[str, str]
) -> None:
    with pytest.raises(InvalidData) as refused:
        echo(kind).trigger(given)

    assert refused.value.errors == errors
    assert not WorkflowRun.objects.exists()


def test_the_error_is_one_sentence_and_its_cure(world: World) -> None:
    given = {f"k{n}": "x" for n in range(12)}
    with pytest.raises(ValueError, match="does not fit") as many:
        echo(dict[str, int]).trigger(given, run_id="r")
    with pytest.raises(InvalidData) as one:
        echo(Address).trigger({"street": "Here", "since": "soon"}, run_id="r")

    assert str(one.value) == (
        "The data of run 'r' does not fit Address: since: Input should be a "
        "valid date or datetime, input is too short, given 'soon'. Give it "
        "what the workflow declares by input= and output=; nothing was "
        "recorded."
    )
    assert "k9: " in str(many.value)
    assert "; and 2 more. Give it" in str(many.value)


def test_the_same_run_is_found_by_what_its_data_means(world: World) -> None:
    asked = echo(Order)
    run_id = asked.trigger(GIVEN, run_id="r")

    assert asked.trigger(ORDER, run_id="r") == run_id
    with pytest.raises(RunConflict, match="other data"):
        asked.trigger({**GIVEN, "order_id": 8}, run_id="r")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (object(), "Unable to generate pydantic-core schema"),
        ("Nowhere", "`TypeAdapter[Nowhere]` is not fully defined"),
        (User, "Unable to generate pydantic-core schema"),
    ],
)
def test_what_is_no_type_of_data_is_refused_when_it_is_declared(
    kind: Any, text: str
) -> None:
    with pytest.raises(TypeError) as refused:
        echo(kind)

    assert text in str(refused.value)
    assert "Write input= and output= with a dataclass" in str(refused.value)


class Receipt(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    paid: Decimal


def receipts(result: Any) -> WorkflowWrapper:
    @workflow(workflow_id="receipts", output=Receipt)
    def receipts(ctx: WorkflowContext) -> Any:
        ctx.step.run("once", str)
        return result

    return receipts


@pytest.mark.parametrize(
    "result", [Receipt(number=1, paid=Decimal(2)), {"number": 1, "paid": "2"}]
)
def test_a_result_is_recorded_plain_and_invoked_typed(
    every: World, result: Any
) -> None:
    child = receipts(result)

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        receipt = ctx.step.invoke("pay", child)
        ctx.step.sleep("pause", 1)
        return [type(receipt).__name__, receipt.paid]

    run = every.finish(parent.trigger())

    assert WorkflowRun.objects.get(parent=run).result == {
        "number": 1,
        "paid": "2",
    }
    assert run.result == ["Receipt", {"$decimal": "2"}]


def test_a_result_that_does_not_fit_fails_the_run_once(every: World) -> None:
    run = every.finish(receipts({"number": "n", "paid": 1}).trigger())

    assert (run.status, run.deliveries) == ("failed", 1)
    assert run.error_type == "InvalidData"
    assert run.error_message == (
        f"The result of run {run.run_id!r} does not fit Receipt: number: "
        "Input should be a valid integer, unable to parse string as an "
        "integer, given 'n'. Give it what the workflow declares by input= "
        "and output=; nothing was recorded."
    )
    receipts({"number": 1, "paid": 1})
    again = every.finish(DeadLetterEntry.objects.get().replay())
    assert again.result == {"number": 1, "paid": "1"}
    assert StepExecution.objects.filter(step_id="once").count() == 2


def test_invoke_checks_data_and_keeps_failures(every: World) -> None:
    child = receipts({})

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        try:
            ctx.step.invoke("first", echo(Order), {"order_id": 1})
        except InvalidData as error:
            said = str(error)
        optional = ctx.step.options(optional=True).invoke("second", child)
        try:
            ctx.step.invoke("third", child)
        except WorkflowError as error:
            return [said, optional, error.error_type]

    run = every.finish(parent.trigger())

    assert run.result == [
        "The data of step 'first' does not fit Order: items: Field required, "
        "given {'order_id': 1}. Give it what the workflow declares by input= "
        "and output=; nothing was recorded.",
        None,
        "InvalidData",
    ]
    assert not WorkflowRun.objects.filter(workflow_id="echo").exists()


def test_a_run_whose_data_fits_no_more_waits_in_its_letter(
    every: World,
) -> None:
    run_id = echo(dict[str, int]).trigger({"order_id": 1})
    registry.unregister("echo")

    @dataclass
    class Newer:
        order_id: int
        channel: str
        tags: set[str] = field(default_factory=set)

    echo(Newer)
    failed = every.finish(run_id)

    assert (failed.status, failed.error_type) == ("failed", "InvalidData")
    assert failed.error_message == (
        f"The data of run {run_id!r} does not fit Newer any more: channel: "
        "Field required, given {'order_id': 1}. Deploy code that can read "
        "it, for example with a default for a new field, and replay the dead "
        "letter."
    )
    registry.unregister("echo")

    @dataclass
    class Newest(Newer):
        channel: str = "web"

    echo(Newest)
    run = every.finish(DeadLetterEntry.objects.get().replay())
    assert run.status == "completed"
    assert got[-1] == Newest(1, "web")


def test_data_of_a_time_without_a_type_is_read_by_its_meaning(
    every: World,
) -> None:
    given = {**GIVEN, "total": Decimal("9.90"), "due": date(2026, 1, 2)}
    run_id = echo(None).trigger(given)
    echo(Order)

    assert every.finish(run_id).status == "completed"
    assert got[0] == ORDER


def test_data_that_is_no_json_at_all_fits_no_type(world: World) -> None:
    ada = User.objects.create(username="ada")
    run_id = echo(None).trigger({"user": ada})
    echo(dict[str, int])

    message = world.finish(run_id).error_message
    assert "dict[str, int] any more: Unable to serialize" in message


def test_schemas_describe_the_data() -> None:
    @workflow(workflow_id="described", input=Parcel, output=Ticket)
    def described(ctx: WorkflowContext) -> None:
        """Do nothing."""

    @workflow(workflow_id="plain")
    def plain(ctx: WorkflowContext) -> None:
        """Do nothing."""

    assert described.input_schema() == Parcel.model_json_schema()
    output = described.output_schema()
    assert output is not None
    assert output["required"] == ["title", "price"]
    assert output["properties"]["title"] == {"type": "string", "maxLength": 5}
    info = described.info
    assert (info.input_schema, info.output_schema) == (
        described.input_schema(),
        output,
    )
    assert (plain.input_schema(), plain.info.output_schema) == (None, None)
