"""Events that a real Sentry client sends to a receiver."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from types import FunctionType
from typing import Any

import pytest
import sentry_sdk
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from django.test import RequestFactory
from pytest_django import Settings

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import tracing
from django_hookflow import workflow
from django_hookflow.contrib.observability import sentry
from django_hookflow.contrib.observability.tests.conftest import Start
from django_hookflow.contrib.observability.tests.receiver import Receiver
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import RetryableError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post

TRACE_ID = "771a43a4192642f0b136d5159a501700"
TRACE = f"{TRACE_ID}-1234567890abcdef"
BAGGAGE = f"sentry-trace_id={TRACE_ID},sentry-sample_rate=1"
EMAIL = "ada@secret.example"


def sent(receiver: Receiver, kind: str) -> list[Any]:
    sentry_sdk.flush(30)
    return receiver.of(kind)


def of_a_project(function: Any) -> Any:
    """Make the function one of a project's module, not of the engine."""
    return FunctionType(
        function.__code__, {**globals(), "__name__": "shop.workflows"}
    )


@of_a_project
def charge() -> None:
    card = "4242 4242 4242 4242"
    raise RetryableError(f"the bank is closed to {card[:4]}")


def test_a_run_that_fails_after_retries_is_one_event(
    every: World, sentry_receiver: Receiver
) -> None:
    @workflow(workflow_id="shop", retry=RetryPolicy(retries=2))
    @of_a_project
    def shop(ctx: WorkflowContext) -> None:
        ctx.step.run("reserve", str)
        ctx.step.run("charge", charge)

    run = every.finish(shop.trigger(run_id="r-1"))

    (event,) = sent(sentry_receiver, "event")
    cause, outer = event["exception"]["values"]
    assert run.status == "failed"
    assert (cause["type"], cause["value"]) == (
        "RetryableError",
        "the bank is closed to 4242",
    )
    assert outer["type"] == "WorkflowError"
    assert [f["function"] for f in cause["stacktrace"]["frames"]][-1] == (
        "charge"
    )
    assert [
        f["function"]
        for f in cause["stacktrace"]["frames"] + outer["stacktrace"]["frames"]
        if f["in_app"]
    ] == ["charge", "shop"]
    assert event["tags"] == {
        "workflow": "shop",
        "run_id": "r-1",
        "step_id": "charge",
    }
    assert event["contexts"]["workflow"] == {
        "workflow_id": "shop",
        "run_id": "r-1",
        "step_id": "charge",
        "delivery": 3,
        "attempt": 3,
    }
    assert event["fingerprint"] == [
        "hookflow", "shop", "charge", "RetryableError",
    ]  # fmt: skip
    assert event["transaction"] == "shop"
    assert (event["level"], event["environment"]) == ("error", "production")


def test_a_run_that_is_rolled_back_is_one_event(
    every: World, sentry_receiver: Receiver
) -> None:
    @workflow(workflow_id="shop", retry=RetryPolicy(retries=0))
    @of_a_project
    def shop(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=repr).run("reserve", str)
        ctx.step.run("charge", charge)

    run = every.finish(shop.trigger(run_id="r-1"))

    (event,) = sent(sentry_receiver, "event")
    assert run.status == "compensated"
    assert event["exception"]["values"][0]["type"] == "RetryableError"
    assert event["tags"]["step_id"] == "charge"


def test_a_failure_outside_steps_is_one_event(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow(retry=RetryPolicy(retries=1))
    def broken(ctx: WorkflowContext) -> None:
        raise RetryableError("no")

    world.finish(broken.trigger())

    (event,) = sent(sentry_receiver, "event")
    assert event["fingerprint"] == ["hookflow", "broken", "", "RetryableError"]
    assert event["contexts"]["workflow"]["attempt"] == 2
    assert event["exception"]["values"][0]["mechanism"] == {
        "type": "hookflow",
        "handled": False,
    }


def test_a_run_that_fails_of_an_old_failure_says_of_which(
    world: World, sentry_receiver: Receiver
) -> None:
    def wrong() -> None:
        raise ValueError("odd")

    @workflow
    def later(ctx: WorkflowContext) -> None:
        try:
            ctx.step.run("a", wrong)
        except WorkflowError:
            ctx.step.sleep("nap", 60)
            raise

    world.finish(later.trigger())

    (event,) = sent(sentry_receiver, "event")
    assert [v["type"] for v in event["exception"]["values"]] == [
        "WorkflowError"
    ]
    assert event["fingerprint"] == ["hookflow", "later", "a", "ValueError"]


def test_a_run_that_kills_its_workers_is_an_event(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow
    def deadly(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)

    run_id = deadly.trigger()
    WorkflowRun.objects.update(crashes=4, lease_token="dead")
    world.finish(run_id)

    (event,) = sent(sentry_receiver, "event")
    assert event["exception"]["values"][0]["type"] == "WorkerCrashed"


def test_a_workflow_that_is_not_deployed_is_an_event_once_for_each_run(
    world: World, sentry_receiver: Receiver
) -> None:
    for run_id in ("r-1", "r-2"):
        WorkflowRun.objects.create(
            run_id=run_id, workflow_id="gone", data={}, wake_token="t",
            created_at=world.now,
        )  # fmt: skip
        delivery = Delivery(run_id=run_id, workflow_id="gone", token="t")
        for retried in range(3):
            assert post(delivery, retried).status_code == 200

    events = sent(sentry_receiver, "event")
    assert len(events) == 2
    assert "No workflow is registered as 'gone'" in str(events[0])


def test_a_caught_failure_and_a_retry_are_no_events(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow(retry=RetryPolicy(retries=1))
    def careful(ctx: WorkflowContext) -> None:
        with suppress(WorkflowError):
            ctx.step.run("charge", charge)

    run = world.finish(careful.trigger())

    assert run.status == "completed"
    assert sent(sentry_receiver, "event") == []


def test_what_a_step_reports_itself_has_its_tags(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow(workflow_id="shop")
    def shop(ctx: WorkflowContext) -> None:
        ctx.step.run("a", lambda: logging.getLogger("shop").error("odd"))
        logging.getLogger("shop").error("outside")

    world.finish(shop.trigger(run_id="r-2"))

    inside, outside = sent(sentry_receiver, "event")
    assert inside["tags"] == {
        "workflow": "shop", "run_id": "r-2", "step_id": "a",
    }  # fmt: skip
    assert inside["contexts"]["workflow"]["attempt"] == 1
    assert outside["tags"] == {"workflow": "shop", "run_id": "r-2"}


def test_deliveries_are_transactions_of_one_trace(
    every: World, sentry_receiver: Receiver
) -> None:
    @workflow(workflow_id="shop")
    def shop(ctx: WorkflowContext) -> None:
        ctx.step.run("reserve", WorkflowRun.objects.count)
        ctx.step.sleep("first", 60)
        ctx.step.sleep("second", 60)

    with sentry_sdk.start_transaction(name="order", op="test") as order:
        run_id = shop.trigger()
    every.finish(run_id)

    requests = [
        t for t in sent(sentry_receiver, "transaction")
        if t["transaction"] == "order"
    ]  # fmt: skip
    deliveries = [
        t for t in sentry_receiver.of("transaction")
        if t["transaction"] == "shop"
    ]  # fmt: skip
    assert len(requests) == 1
    assert [t["contexts"]["trace"]["trace_id"] for t in deliveries] == [
        order.trace_id
    ] * 3
    assert [t["contexts"]["trace"]["op"] for t in deliveries] == [
        "queue.process"
    ] * 3
    assert [steps(t) for t in deliveries] == [
        [
            ("workflow.step.run", "reserve", "ok"),
            ("workflow.step.sleep", "first", "ok"),
        ],
        [
            ("workflow.step.sleep", "first", "ok"),
            ("workflow.step.sleep", "second", "ok"),
        ],
        [("workflow.step.sleep", "second", "ok")],
    ]
    assert {t["tags"]["run_id"] for t in deliveries} == {run_id}
    assert "request" not in deliveries[0]


def test_queries_and_requests_of_a_step_are_spans_in_its_span(
    world: World, sentry_receiver: Receiver
) -> None:
    url = f"http://127.0.0.1:{sentry_receiver.port}/api/1/envelope/?q=hidden"

    @workflow
    def calling(ctx: WorkflowContext) -> None:
        ctx.step.run("count", WorkflowRun.objects.count)
        ctx.step.call("post", url, method="POST", body="{}\n")

    world.finish(calling.trigger())

    (transaction,) = sent(sentry_receiver, "transaction")
    assert "db" in children(transaction, "count")
    assert "http.client" in children(transaction, "post")
    assert "hidden" not in sentry_receiver.text


def test_attempts_that_fail_are_spans_with_an_error(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow(retry=RetryPolicy(retries=1))
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", charge)

    world.finish(failing.trigger())

    assert [steps(t) for t in sent(sentry_receiver, "transaction")] == [
        [("workflow.step.run", "charge", "internal_error")]
    ] * 2


def test_a_delivery_of_the_sweeper_is_of_the_same_trace(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow
    def lost(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 60)

    with sentry_sdk.start_transaction(name="order", op="test") as order:
        run_id = lost.trigger()
    memory_transport().waiting.clear()
    world.advance("1h")
    maintenance.sweep()
    world.finish(run_id)

    assert [
        t["contexts"]["trace"]["trace_id"]
        for t in sent(sentry_receiver, "transaction")
    ] == [order.trace_id] * 3


def test_an_unsampled_request_has_unsampled_deliveries(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow
    def quiet(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)

    with sentry_sdk.start_transaction(name="order", sampled=False):
        run_id = quiet.trigger()
    world.finish(run_id)

    assert sent(sentry_receiver, "transaction") == []


def test_without_a_sample_rate_there_are_events_and_no_transactions(
    world: World, start: Start
) -> None:
    receiver = start(SENTRY_TRACES_SAMPLE_RATE=0.0, SENTRY_ENVIRONMENT="stage")

    @workflow
    def broken(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    world.finish(broken.trigger())

    (event,) = sent(receiver, "event")
    assert event["environment"] == "stage"
    assert receiver.of("transaction") == []


@pytest.mark.parametrize("pii", [False, True])
def test_data_of_runs_is_sent_only_on_demand(
    world: World, start: Start, pii: bool
) -> None:
    receiver = start(SENTRY_SEND_PII=pii)

    def fail(email: str) -> None:
        raise ValueError("no")

    @workflow
    def private(ctx: WorkflowContext) -> None:
        ctx.step.run("a", fail, ctx.data["email"])

    world.finish(private.trigger({"email": EMAIL}))

    assert len(sent(receiver, "event")) == 1
    assert (EMAIL in receiver.text) == pii


def test_jobs_check_in(sentry_receiver: Receiver) -> None:
    with tracing.job("hookflow-sweep", timedelta(minutes=1)):
        pass
    with (
        suppress(ZeroDivisionError),
        tracing.job("cleanup-workflows", timedelta(days=1)),
    ):
        raise ZeroDivisionError

    assert [
        (c["monitor_slug"], c["status"], c["monitor_config"]["schedule"])
        for c in sent(sentry_receiver, "check_in")
    ] == [
        ("hookflow-sweep", "in_progress", interval(1)),
        ("hookflow-sweep", "ok", interval(1)),
        ("cleanup-workflows", "in_progress", interval(1440)),
        ("cleanup-workflows", "error", interval(1440)),
    ]


def test_a_job_that_comes_often_checks_in_once_a_minute(
    sentry_receiver: Receiver,
) -> None:
    for _ in range(5):
        with tracing.job("hookflow-sweep", timedelta(seconds=5)):
            pass

    assert len(sent(sentry_receiver, "check_in")) == 2


def test_what_is_asked_for_all_day_is_no_transaction(
    settings: Settings,
) -> None:
    settings.SENTRY_TRACES_SAMPLE_RATE = 0.25

    def part(path: str, parent: bool | None = None) -> float:
        environ = {"PATH_INFO": path}
        if parent is not None:
            environ["HTTP_SENTRY_TRACE"] = f"{TRACE}-{parent:d}"
        return sentry._sample(
            {"wsgi_environ": environ, "parent_sampled": parent}
        )

    assert part("/livez") == 0
    assert part("/metrics") == 0
    assert part("/hookflow/workflow/shop/", parent=True) == 0
    assert part("/orders/") == 0.25
    assert {part("/orders/", parent=True) for _ in range(200)} == {0, 1}
    assert {part("/orders/", parent=False) for _ in range(200)} == {0, 1}
    assert sentry._sample({"parent_sampled": None}) == 0.25
    assert sentry._sample({"parent_sampled": True}) == 1
    assert sentry._sample({"parent_sampled": False}) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"sentry-trace": f"{TRACE}-1"},
        {"baggage": f"{BAGGAGE},sentry-sample_rand=0.000000"},
        {
            "sentry-trace": f"{TRACE}-1",
            "baggage": f"{BAGGAGE},sentry-sample_rand=0.000000",
        },
        {"sentry-trace": TRACE, "baggage": f"{BAGGAGE},sentry-sampled=true"},
    ],
)
def test_no_client_makes_us_send_a_transaction(
    start: Start, settings: Settings, headers: dict[str, str]
) -> None:
    receiver = start(SENTRY_TRACES_SAMPLE_RATE=1e-9)
    request = RequestFactory(headers=headers).get("/no-such-page/")

    for _ in range(3):
        WSGIHandler()(request.environ, lambda *_: None).close()

    assert sent(receiver, "transaction") == []


def test_of_a_trace_that_others_began_our_part_is_sent(
    start: Start, settings: Settings
) -> None:
    receiver = start(SENTRY_TRACES_SAMPLE_RATE=1.0)
    headers = {"sentry-trace": f"{TRACE}-0"}
    request = RequestFactory(headers=headers).get("/no-such-page/")

    WSGIHandler()(request.environ, lambda *_: None).close()

    (transaction,) = sent(receiver, "transaction")
    assert transaction["contexts"]["trace"]["trace_id"] == TRACE_ID


def test_an_error_of_a_page_is_still_an_event(
    sentry_receiver: Receiver, settings: Settings
) -> None:
    settings.ROOT_URLCONF = "django_hookflow.contrib.observability.tests.urls"

    Client(raise_request_exception=False).get("/broken/")

    (event,) = sent(sentry_receiver, "event")
    assert event["exception"]["values"][0]["type"] == "ZeroDivisionError"
    assert "workflow" not in event.get("tags", {})


def test_a_dsn_that_is_none_is_said_to_be_none(settings: Settings) -> None:
    settings.SENTRY_DSN = "https://sentry.example/placeholder"

    with pytest.raises(ImproperlyConfigured, match="SENTRY_DSN is 'https"):
        sentry.start()


def test_the_client_speaks_to_the_project_of_the_dsn(
    world: World, sentry_receiver: Receiver
) -> None:
    @workflow
    def broken(ctx: WorkflowContext) -> None:
        raise ValueError("no")

    world.finish(broken.trigger())
    sentry_sdk.flush(30)

    path, auth = sentry_receiver.requests[0]
    assert path == "/api/42/envelope/"
    assert "sentry_key=public" in auth


def interval(minutes: int) -> dict[str, Any]:
    return {"type": "interval", "value": minutes, "unit": "minute"}


def steps(transaction: Any) -> list[tuple[str, str, str]]:
    return [
        (span["op"], span["description"], span["status"])
        for span in transaction["spans"]
        if span["op"].startswith("workflow.step.")
    ]


def children(transaction: Any, step_id: str) -> set[str]:
    """Return the kinds of spans inside that of a step."""
    (parent,) = (
        s["span_id"]
        for s in transaction["spans"]
        if s["description"] == step_id
    )
    return {
        span["op"]
        for span in transaction["spans"]
        if span["parent_span_id"] == parent
    }
