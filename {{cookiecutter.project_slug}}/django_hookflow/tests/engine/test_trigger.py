"""Starting runs: once, in a transaction, also while QStash fails."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import RunConflict
from django_hookflow.exceptions import SerializationError
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World
from django_hookflow.transports import get_transport
from django_hookflow.transports.limits import MAX_THREADS
from django_hookflow.transports.limits import within
from django_hookflow.transports.memory import MemoryTransport
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows.registry import get_all_workflows
from django_hookflow.workflows.registry import get_workflow

QSTASH = "django_hookflow.transports.qstash.QStashTransport"


@workflow
def noop(ctx: WorkflowContext) -> dict[str, Any]:
    return ctx.data


def test_the_same_run_id_is_the_same_run(every: World) -> None:
    first = noop.trigger({"n": 1}, run_id="order-1")
    second = noop.trigger({"n": 1}, run_id="order-1")

    assert first == second == "order-1"
    assert len(memory_transport().waiting) == 1
    assert every.finish(first).result == {"n": 1}
    assert noop.trigger({"n": 1}, run_id="order-1") == "order-1"
    assert memory_transport().waiting == []


def test_the_same_run_id_with_other_data_is_an_error(world: World) -> None:
    noop.trigger({"n": 1}, run_id="order-1")

    with pytest.raises(RunConflict) as caught:
        noop.trigger({"n": 2}, run_id="order-1")

    assert str(caught.value) == (
        "Run 'order-1' already exists with other data. Use another run_id, "
        "or the same workflow, data and owner."
    )


@pytest.mark.parametrize(
    "data",
    [
        {1: "a", 2: {"b": 1, "c": (1, {None: 1, True: 2})}},
        {2: {"c": (1, {True: 2, None: 1}), "b": 1}, 1: "a"},
    ],
)
def test_the_same_data_in_another_order_is_the_same_run(
    world: World, data: dict[Any, Any]
) -> None:
    noop.trigger(
        {1: "a", 2: {"b": 1, "c": (1, {None: 1, True: 2})}}, run_id="order-1"
    )

    assert noop.trigger(data, run_id="order-1") == "order-1"


@pytest.mark.parametrize(
    "data", [{1: "b", 2: "a"}, {1: "a"}, {"1": "a", "2": "b"}, {}]
)
def test_other_data_with_keys_that_are_no_text_is_an_error(
    world: World, data: dict[Any, Any]
) -> None:
    noop.trigger({1: "a", 2: "b"}, run_id="order-1")

    with pytest.raises(RunConflict):
        noop.trigger(data, run_id="order-1")


def test_the_same_run_id_for_another_workflow_is_an_error(
    world: World,
) -> None:
    @workflow
    def other(ctx: WorkflowContext) -> None: ...

    noop.trigger(run_id="order-1")

    with pytest.raises(RunConflict, match="with another workflow"):
        other.trigger(run_id="order-1")


def test_a_conflict_leaves_the_callers_transaction_usable(
    world: World,
) -> None:
    noop.trigger(run_id="order-1")

    with transaction.atomic():
        noop.trigger(run_id="order-1")
        noop.trigger(run_id="order-2")

    assert WorkflowRun.objects.count() == 2


def test_nothing_is_sent_before_the_commit(world: World) -> None:
    with transaction.atomic():
        noop.trigger()
        assert memory_transport().waiting == []

    assert len(memory_transport().waiting) == 1


def test_data_keeps_its_types(every: World) -> None:
    seen: list[Any] = []

    @workflow
    def typed(ctx: WorkflowContext) -> None:
        seen.append(ctx.data)

    data = {"pair": (1, 2), "when": every.now}
    every.finish(typed.trigger(data))

    assert seen == [data]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"data": [1], "run_id": "r1"},
            TypeError,
            "The data of run 'r1' must be a dict, not list. Write "
            '{"order_id": order.pk}, or declare the type of the data by '
            "@workflow(input=…).",
        ),
        (
            {"data": {"order": object()}, "run_id": "r1"},
            SerializationError,
            "The data of run 'r1'['order'] cannot be recorded: "
            "builtins.object is not a type of plain data. Use plain data, a "
            "dataclass or an id, and load the rest again where it is used.",
        ),
        (
            {"run_id": "a\nb"},
            ValueError,
            "Invalid run_id 'a\\nb', expected text without control "
            "characters.",
        ),
        (
            {"run_id": 17},
            ValueError,
            "Invalid run_id 17, expected text without control characters.",
        ),
        (
            {"run_id": ""},
            ValueError,
            "Invalid run_id '', expected text without control characters.",
        ),
    ],
)
def test_bad_input_starts_nothing(
    world: World, arguments: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        noop.trigger(**arguments)

    assert str(caught.value) == message
    assert not WorkflowRun.objects.exists()


def test_trigger_succeeds_while_qstash_is_away_and_the_sweeper_sends(
    every: World, settings: Any, caplog: Any
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
    run_id = noop.trigger({"n": 1})
    assert "The sweeper will send it." in caplog.text
    settings.DJANGO_HOOKFLOW_TRANSPORT = (
        "django_hookflow.transports.memory.MemoryTransport"
    )

    assert maintenance.sweep() == 0
    every.advance("61s")
    assert maintenance.sweep() == 1

    assert every.finish(run_id).result == {"n": 1}


@contextmanager
def qstash_that_drips(beginning: bytes, drop: bytes) -> Iterator[list[str]]:
    """Run a server with an endless answer; yield its address, then its end."""
    told: list[str] = []
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(10_000)
            connection.sendall(beginning)
            for _ in range(6000):  # a minute
                if over.wait(0.01):
                    return
                connection.sendall(drop)
            told.append("heard out")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        told.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=serve)
        thread.start()
        yield told
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        (b"", b""),
        (b"", b"H"),
        (b"HTTP/1.1 201 Created\r\nSlow: ", b"x"),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\n", b" "),
    ],
    ids=["nothing", "status", "header", "body"],
)
def test_trigger_returns_while_qstash_hangs(
    world: World, settings: Any, caplog: Any, beginning: bytes, drop: bytes
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
    settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 0.2
    with qstash_that_drips(beginning, drop) as told:
        settings.QSTASH_URL = told[0]

        run_id = noop.trigger()

    assert told[1:] == []
    assert world.run_of(run_id).status == "pending"
    assert "QStash did not accept the message: timed out" in caplog.text


def test_few_threads_are_left_behind_while_qstash_hangs() -> None:
    is_over = threading.Event()
    for _ in range(MAX_THREADS):
        with pytest.raises(TimeoutError, match="timed out after 0 s"):
            within(0, is_over.wait)

    with pytest.raises(TimeoutError) as caught:
        within(60, is_over.wait)
    is_over.set()

    assert str(caught.value) == "32 earlier calls still wait"
    for thread in threading.enumerate():
        if thread.name == "hookflow-within":
            thread.join()
    assert within(60, is_over.is_set)


def test_a_workflow_is_found_by_its_name_or_its_given_id() -> None:
    @workflow(workflow_id="order-processor-v2")
    def process(ctx: WorkflowContext) -> None: ...

    assert get_workflow("order-processor-v2") is process
    assert get_workflow("noop") is noop
    assert get_all_workflows()["noop"] is noop


def test_an_unknown_workflow_names_a_close_one() -> None:
    with pytest.raises(WorkflowNotFound) as caught:
        get_workflow("nop")

    assert str(caught.value) == (
        "No workflow is registered as 'nop'. Did you mean 'noop'? Workflows "
        "are found in the workflows.py of installed apps."
    )


def test_two_workflows_of_one_id_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:

        @workflow(workflow_id="noop")
        def another(ctx: WorkflowContext) -> None: ...

    said = re.sub(r":\d+\)", ":LINE)", str(caught.value))
    here = f"({__file__}:LINE)"
    name = "test_two_workflows_of_one_id_are_refused.<locals>.another"
    assert said == (
        f"Two workflows are called 'noop': {__name__}.noop {here} and "
        f"{__name__}.{name} {here}. Give the one that has no runs yet "
        "another id, for example "
        '@workflow(workflow_id="test_trigger-noop"), or, if it is to follow '
        "the other, another version: version=2."
    )


@pytest.mark.parametrize(
    "workflow_id", ["a/b", "a\nb", "x" * 201, ".", "..", "", 3]
)
def test_an_id_that_fits_no_address_is_refused(workflow_id: Any) -> None:
    with pytest.raises(ValueError, match="Invalid workflow id"):

        @workflow(workflow_id=workflow_id)
        def bad(ctx: WorkflowContext) -> None: ...


@pytest.mark.parametrize(
    "workflow_id",
    ["<locals>.f", "a b", "größe", "50%", "a?b#c", "a+b", "..a", "...", "%2F"],
)
def test_odd_ids_arrive_all_the_same(every: World, workflow_id: str) -> None:
    @workflow(workflow_id=workflow_id)
    def odd(ctx: WorkflowContext) -> str:
        return ctx.workflow_id

    assert every.finish(odd.trigger()).result == workflow_id


def test_async_and_generator_functions_are_refused_at_import() -> None:
    with pytest.raises(TypeError, match="is not a plain function"):

        @workflow
        async def colored(ctx: WorkflowContext) -> None: ...

    with pytest.raises(TypeError, match="is not a plain function"):

        @workflow
        def yielding(ctx: WorkflowContext) -> Any:
            yield


@pytest.mark.parametrize("domain", ["http://testserver", "http://testserver/"])
def test_a_slash_after_the_domain_makes_no_difference(
    every: World, settings: Any, domain: str
) -> None:
    settings.DJANGO_HOOKFLOW_DOMAIN = domain

    assert every.finish(noop.trigger()).status == "completed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_PROXY", "localhost,fe80::/10"),
        ("ALL_PROXY", "socks5h://127.0.0.1:1080"),
        ("ALL_PROXY", "nonsense"),
        ("SSL_CERT_FILE", "/gone/ca.pem"),
    ],
)
def test_trigger_and_sweep_outlive_a_client_that_cannot_be_made(
    world: World,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
    monkeypatch.setenv(name, value)

    run_id = noop.trigger()
    world.advance("5m")

    assert maintenance.sweep() == 1
    assert world.run_of(run_id).status == "pending"


def test_a_transport_that_breaks_leaves_the_message_to_the_sweeper(
    world: World, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = f"{__name__}.Broken"

    run_id = noop.trigger()

    assert "ZeroDivisionError: nothing. The sweeper will send" in caplog.text
    settings.DJANGO_HOOKFLOW_TRANSPORT = (
        "django_hookflow.transports.memory.MemoryTransport"
    )
    world.advance("5m")
    maintenance.sweep()
    assert world.finish(run_id).status == "completed"


class Broken(MemoryTransport):
    def send(self, delivery: Delivery) -> None:
        raise ZeroDivisionError("nothing")


def test_a_token_with_a_line_break_is_in_no_log(
    world: World, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
    settings.QSTASH_TOKEN = "s3cret\n"
    caplog.set_level("INFO")

    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.QSTASH_URL = f"http://127.0.0.1:{server.getsockname()[1]}"
        noop.trigger()
        get_transport().trouble()

    assert (
        "QStash did not accept the message: the request cannot be sent"
        in caplog.text
    )
    assert "QStash cannot be reached: the request cannot" in caplog.text
    assert "s3cret" not in caplog.text
