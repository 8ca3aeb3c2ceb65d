"""Rare cases that no ordinary run meets."""

from __future__ import annotations

import logging
import socket
import threading
import zlib
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from io import StringIO
from types import SimpleNamespace
from typing import Any
from typing import ClassVar

import httpx
import pytest
from django.core import checks
from django.core.management import call_command
from django.db import OperationalError
from django.db import connection
from pydantic import BaseModel
from pydantic import field_validator

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import bodies
from django_hookflow import clock
from django_hookflow import engine
from django_hookflow import heartbeat
from django_hookflow import http
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import SerializationError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.retry import is_retryable_error
from django_hookflow.serialization import dumps
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.values import call_by_value
from django_hookflow.workflows.handlers import publish_next_step

QSTASH = "django_hookflow.transports.qstash.QStashTransport"

IMPATIENT = {
    "sqlite": ("timeout", 0.1),
    "postgresql": ("options", "-c lock_timeout=100"),
}


def test_the_clock_is_that_of_the_system_unless_moved() -> None:
    before = datetime.now(UTC)

    assert before <= clock.now() <= datetime.now(UTC)


def test_runs_survive_a_dump_and_a_load(every: World) -> None:
    @workflow
    def dumped(ctx: WorkflowContext) -> Any:
        return ctx.data

    run_id = dumped.trigger({"b": (1, "ü\0"), "a": None})
    every.deliver()
    dump = StringIO()
    call_command("dumpdata", "django_hookflow", stdout=dump)
    before = WorkflowRun.objects.values().get()
    WorkflowRun.objects.all().delete()

    text = dump.getvalue()
    from django.core import serializers

    for row in serializers.deserialize("json", text):
        row.save()

    assert WorkflowRun.objects.values().get() == before
    assert list(every.run_of(run_id).result) == ["b", "a"]


def test_an_event_that_comes_while_the_run_suspends_wakes_it(
    every: World,
) -> None:
    looks: list[str] = []

    def send_before_commit(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if sql.startswith("SELECT") and "hookflow_event" in sql:
            looks.append(sql)
            # The step found no event; the commit is about to look again.
            if len(looks) == 2:
                send_event("paid", "just in time", match="order-1")
        return execute(sql, params, many, context)

    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="order-1")

    run_id = waiter.trigger()
    with connection.execute_wrapper(send_before_commit):
        every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.result) == ("completed", "just in time")
    assert (run.deliveries, run.messages) == (2, 2)


def test_an_event_that_another_run_takes_first_is_waited_for(
    every: World,
) -> None:
    taken: list[int] = []

    def take_first(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        result = execute(sql, params, many, context)
        if "FROM" in sql and "hookflow_event" in sql and not taken:
            taken.append(1)
            Event.objects.update(consumed_at=every.now)
        return result

    @workflow
    def waiter(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("wait", "paid", match="order-1")

    run_id = waiter.trigger()
    send_event("paid", 1, match="order-1")
    with connection.execute_wrapper(take_first):
        every.deliver()

    assert every.run_of(run_id).status == "waiting"


def test_a_heartbeat_that_cannot_write_leaves_the_step_alone(
    every: World,
    settings: Any,
    caplog: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DJANGO_HOOKFLOW_LEASE = 0.1
    # How long a new connection, such as the heartbeat's, waits for a lock.
    options = settings.DATABASES["default"]["OPTIONS"]
    monkeypatch.setitem(options, *IMPATIENT[connection.vendor])
    tried = threading.Event()
    caplog.handler.addFilter(
        lambda record: (
            ("keeps its old lease" in record.getMessage() and tried.set())
            or True
        )
    )

    @workflow
    def slow(ctx: WorkflowContext) -> bool:
        def write() -> bool:
            WorkflowRun.objects.select_for_update().get()
            return tried.wait(60)

        return ctx.step.options(atomic=True).run("slow", write)

    run = every.finish(slow.trigger())

    assert (run.status, run.result) == ("completed", True)


def test_a_backoff_beyond_all_numbers_is_the_maximum() -> None:
    policy = RetryPolicy(retries=10_000, factor=10.0, maximum=60)

    assert policy.delay_before(5000, ConnectionError()) == 60


def test_an_error_wrapped_by_a_step_is_judged_by_its_cause() -> None:
    def wrapped(cause: Exception) -> WorkflowError:
        error = WorkflowError("x", "y", "z")
        error.__cause__ = cause
        return error

    assert is_retryable_error(wrapped(ConnectionError()))
    assert not is_retryable_error(wrapped(ValueError()))
    assert not is_retryable_error(WorkflowError("x", "y", "z"))


class Deadly(BaseModel):
    """Kills the worker that reads it, when it is armed."""

    number: int
    is_armed: ClassVar[bool] = False

    @field_validator("number")
    @classmethod
    def kill(cls, number: int) -> int:
        if cls.is_armed:
            raise Died
        return number


@dataclass
class Parcel:
    number: int


def test_a_worker_that_dies_while_it_reads_the_data_decides_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    def reading(ctx: WorkflowContext) -> None: ...

    run_id = reading.trigger({"it": Deadly(number=1)})
    with monkeypatch.context() as armed, pytest.raises(Died):
        armed.setattr(Deadly, "is_armed", True)
        engine.advance(memory_transport().waiting[0].delivery)

    assert world.run_of(run_id).status == "running"


def test_a_worker_that_dies_outside_of_steps_decides_nothing(
    world: World,
) -> None:
    @workflow
    def dying(ctx: WorkflowContext) -> None:
        raise Died

    run_id = dying.trigger()
    with pytest.raises(Died):
        engine.advance(memory_transport().waiting[0].delivery)

    assert world.run_of(run_id).status == "running"


def test_of_leases_that_cannot_be_given_back_the_newest_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "MOST_LEFT", 3)

    def refuse(*_: Any) -> Any:
        raise OperationalError("disk is full")

    try:
        with connection.execute_wrapper(refuse):
            for number in range(4):
                heartbeat.give_back("r", f"token-{number}", ValueError("x"))
        left = list(heartbeat._left)
    finally:
        heartbeat._left.clear()

    assert left == ["token-1", "token-2", "token-3"]


def test_a_deflated_body_may_come_in_pieces() -> None:
    packed = zlib.compress(b"hello")

    for cut in range(1, len(packed)):
        pieces = [packed[:cut], packed[cut:]]
        assert bodies.joined(pieces, "deflate", 100) == b"hello"


def test_an_error_of_httpx_without_a_sentence_is_told_by_its_class() -> None:
    error = httpx.TooManyRedirects("at https://ada:secret@shop.example")

    assert http.safe_text(error) == "TooManyRedirects"


def test_a_connection_made_after_the_time_is_up_is_closed() -> None:
    ours, theirs = socket.socketpair()
    made = {"return_value": SimpleNamespace(get_extra_info=lambda _: ours)}
    clock_of_a_call = http._Clock()
    clock_of_a_call.end()

    clock_of_a_call("connection.connect_tcp.complete", made)
    ours.close()
    clock_of_a_call.end()  # closed already

    with theirs:
        assert theirs.recv(1) == b""


def test_a_log_line_of_httpx_may_have_named_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("httpx").error("%(one)s line", {"one": "a"})

    assert caplog.messages == ["a line"]


def test_a_step_that_never_began_has_no_duration() -> None:
    assert StepExecution(status="completed").duration is None


def test_a_failure_that_is_its_own_cause_is_not_tried_again() -> None:
    error = WorkflowError("charge", "ValueError", "no")
    error.__cause__ = error

    assert not is_retryable_error(error)


def test_a_dataclass_that_lacks_a_field_is_copied_without_it() -> None:
    half = object.__new__(Parcel)

    given = call_by_value(lambda value: value, (half,), {})

    assert given is not half
    assert "number" not in vars(given)


def test_a_class_of_the_script_that_runs_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Parcel, "__module__", "__main__")

    with pytest.raises(SerializationError, match="class of the script that"):
        dumps(Parcel(1), "It")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QSTASH_URL", "localhost", "QSTASH_URL is 'localhost'"),
        ("QSTASH_TOKEN", " a", "QSTASH_TOKEN begins or ends with white"),
    ],
)
def test_an_impossible_value_of_qstash_is_found(
    settings: Any, name: str, value: str, said: str
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
    setattr(settings, name, value)

    found = [message.msg for message in checks.run_checks(tags=["hookflow"])]

    assert len([text for text in found if text.startswith(said)]) == 1


def test_the_old_way_to_send_a_message_says_what_went_wrong(
    world: World, settings: Any
) -> None:
    @workflow
    def sent(ctx: WorkflowContext) -> None: ...

    run_id = sent.trigger()
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH  # nothing listens there

    with pytest.raises(
        WorkflowError, match="QStash did not accept the message"
    ):
        publish_next_step("sent", run_id)
