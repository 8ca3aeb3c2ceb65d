"""The webhook: its answers to messages that are genuine, late or repeated."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.db import connection
from django.test import Client

from django_hookflow import WorkflowContext
from django_hookflow import engine
from django_hookflow import workflow
from django_hookflow.delivery import Delivery
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post
from django_hookflow.transports.signature import sign


@workflow(workflow_id="empty of the delivery tests")
def empty(ctx: WorkflowContext) -> str:
    return "done"


@pytest.fixture
def delivery(world: World) -> Delivery:
    empty.trigger(run_id="r1")
    return memory_transport().waiting[0].delivery


def send(
    body: bytes, signature: str | None, url: str | None = None, **extra: Any
) -> Any:
    path = (url or webhook_url(empty.workflow_id)).removeprefix(
        "http://testserver"
    )
    headers = {} if signature is None else {"Upstash-Signature": signature}
    return Client().post(
        path, body, content_type="application/json", headers=headers, **extra
    )


def test_a_message_signed_with_the_current_key_moves_the_run(
    delivery: Delivery,
) -> None:
    url = webhook_url(delivery.workflow_id)

    response = send(delivery.encode(), sign(delivery.encode(), url))

    assert response.status_code == 200
    assert response.json() == {"status": "completed", "run_id": "r1"}


def test_a_refused_message_changes_nothing_and_the_log_says_why(
    delivery: Delivery, caplog: Any
) -> None:
    token = sign(delivery.encode(), "http://evil.example/")

    response = send(delivery.encode(), token)

    assert (response.status_code, response.json()) == (
        401,
        {"status": "refused"},
    )
    assert "'http://evil.example/'" in caplog.text
    assert WorkflowRun.objects.get().status == "pending"


def test_signed_nonsense_is_refused_for_ever(world: World) -> None:
    response = send(b"{}", sign(b"{}", webhook_url(empty.workflow_id)))

    assert response.status_code == 489
    assert response.headers["Upstash-NonRetryable-Error"] == "true"


def test_a_huge_body_is_refused_unread(world: World, settings: Any) -> None:
    settings.DJANGO_HOOKFLOW_MAX_BODY = 10

    assert send(b"x" * 100, "token").status_code == 413


def test_a_body_that_a_middleware_has_read_is_believed(
    delivery: Delivery, settings: Any
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.reading"]
    token = sign(delivery.encode(), webhook_url(delivery.workflow_id))

    assert send(delivery.encode(), token).status_code == 200


def reading(get_response: Any) -> Any:
    """A middleware that reads every body."""
    return lambda request: request.body and get_response(request)


def test_a_message_needs_no_token_of_a_form(delivery: Delivery) -> None:
    url = webhook_url(delivery.workflow_id)
    client = Client(enforce_csrf_checks=True)

    response = client.post(
        url.removeprefix("http://testserver"),
        delivery.encode(),
        content_type="application/json",
        headers={"Upstash-Signature": sign(delivery.encode(), url)},
    )

    assert (response.status_code, response.json()["status"]) == (
        200,
        "completed",
    )


def test_a_step_is_committed_although_requests_are_transactions(
    every: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    seen: list[bool] = []

    @workflow
    def committing(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)
        ctx.step.run("b", lambda: seen.append(connection.in_atomic_block))

    run = every.finish(committing.trigger())

    assert (run.status, seen) == ("completed", [False])


def test_only_post_is_allowed(world: World) -> None:
    path = webhook_url("empty").removeprefix("http://testserver")

    assert Client().get(path).status_code == 405


@pytest.mark.parametrize(
    "changes",
    [{"token": "old"}, {"run_id": "nobody"}],
)
def test_a_message_that_is_not_the_live_one_is_stale(
    delivery: Delivery, changes: dict[str, str]
) -> None:
    body = json.dumps(json.loads(delivery.encode()) | changes).encode()

    response = send(body, sign(body, webhook_url(delivery.workflow_id)))

    assert response.status_code == 200
    assert response.json()["status"] == "stale"
    assert WorkflowRun.objects.get().status == "pending"


def test_a_message_of_a_finished_run_changes_nothing(every: World) -> None:
    results: list[int] = []

    @workflow
    def counting(ctx: WorkflowContext) -> int:
        results.append(1)
        return len(results)

    run_id = counting.trigger()
    message = memory_transport().waiting[0]
    every.deliver()

    response = post(message.delivery)

    assert response.status_code == 200
    assert every.run_of(run_id).result == 1
    assert results == [1]


def test_a_second_message_during_a_step_is_told_to_come_again(
    every: World,
) -> None:
    answers: list[Any] = []

    @workflow
    def reentrant(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", lambda: answers.append(post(message.delivery)))

    reentrant.trigger()
    message = memory_transport().waiting[0]

    every.deliver()

    assert [answer.status_code for answer in answers] == [409]
    assert answers[0].headers["Retry-After"] == "31"
    assert WorkflowRun.objects.get().status == "completed"


def test_a_lease_that_ran_out_is_taken_over_and_the_old_owner_stops(
    world: World,
) -> None:
    calls: list[str] = []

    def slow() -> str:
        calls.append("slow")
        if len(calls) == 1:
            world.advance("31s")
            assert post(message.delivery).status_code == 200
            calls.append("the other is done")
        return "written by " + str(len(calls))

    @workflow
    def raced(ctx: WorkflowContext) -> Any:
        result = ctx.step.run("slow", slow)
        calls.append("after")
        return result

    raced.trigger()
    message = memory_transport().waiting[0]

    response = memory_transport().deliver(message)

    assert response.status_code == 503
    assert calls == ["slow", "slow", "after", "the other is done"]
    run = WorkflowRun.objects.get()
    assert (run.status, run.result) == ("completed", "written by 2")


@pytest.mark.parametrize("swallow", [Exception, BaseException])
def test_a_lost_lease_cannot_be_swallowed(
    world: World, swallow: type[BaseException]
) -> None:
    calls: list[str] = []

    def lose() -> None:
        if not calls:
            calls.append("lose")
            WorkflowRun.objects.update(lease_token="another")

    @workflow
    def stubborn(ctx: WorkflowContext) -> str:
        for name in ("a", "b", "c"):
            try:
                ctx.step.run(name, lose)
            except swallow:
                calls.append("swallowed")
        return "done"

    stubborn.trigger()

    response = memory_transport().deliver(memory_transport().waiting[0])

    assert response.status_code == 503
    assert WorkflowRun.objects.get().status == "running"


def test_a_lost_connection_ends_the_delivery_without_another_write(
    every: World,
) -> None:
    statements: list[str] = []

    def lose(execute: Any, sql: str, params: Any, many: bool, ctx: Any) -> Any:
        statements.append(sql)
        if "INSERT INTO django_hookflow_stepexecution" in sql:
            raise OperationalError("server closed the connection")
        return execute(sql, params, many, ctx)

    @workflow
    def lost(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)

    run_id = lost.trigger()

    with connection.execute_wrapper(lose):
        response = memory_transport().deliver(memory_transport().waiting[0])

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    *_, append, give_back = statements
    assert "INSERT INTO django_hookflow_stepexecution" in append
    assert give_back.startswith('UPDATE "django_hookflow_workflowrun"')
    assert every.finish(run_id).status == "completed"


def test_workers_that_die_too_often_end_the_run(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_CRASHES = 2

    @workflow
    def deadly(ctx: WorkflowContext) -> None:
        ctx.step.run("fine", str)

        def die() -> None:
            raise Died

        ctx.step.run("deadly", die)

    run_id = deadly.trigger()
    message = memory_transport().waiting[0].delivery
    for _ in range(2):
        with pytest.raises(Died):
            engine.advance(message)
        world.advance("31s")
    engine.advance(message)

    run = world.run_of(run_id)
    assert (run.status, run.error_type) == ("failed", "WorkerCrashed")
    assert run.error_message == (
        "2 deliveries in a row died without an answer, after step 'fine'. "
        "Something there kills the process: memory, a time limit or a signal."
        " Fix it and replay the dead letter."
    )
    assert DeadLetterEntry.objects.count() == 1


def test_a_step_under_which_the_worker_died_counts_the_attempt(
    every: World,
) -> None:
    deaths: list[int] = []

    def die_once() -> None:
        if not deaths:
            deaths.append(1)
            raise Died

    @workflow
    def dying(ctx: WorkflowContext) -> None:
        ctx.step.run("fine", str)
        ctx.step.run("deadly", die_once)

    run_id = dying.trigger()
    message = memory_transport().waiting[0].delivery
    with pytest.raises(Died):
        engine.advance(message)
    every.advance("31s")
    every.deliver()

    run = every.run_of(run_id)
    attempts = dict(run.step_executions.values_list("step_id", "attempts"))
    assert attempts == {"fine": 1, "deadly": 2}
    assert (run.crashes, run.deliveries) == (0, 2)


def test_an_error_in_the_function_is_kept_with_its_text(
    every: World, caplog: Any
) -> None:
    @workflow
    def broken(ctx: WorkflowContext) -> None:
        raise KeyError("nope")

    run = every.finish(broken.trigger())

    assert (run.status, run.error_type) == ("failed", "KeyError")
    assert run.error_message == "'nope'"
    assert run.deliveries == 1
    assert DeadLetterEntry.objects.count() == 1
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.getMessage() for r in errors] == [
        f"broken {run.run_id} failed: KeyError: 'nope'"
    ]


def test_a_passing_error_in_the_function_is_tried_again(
    every: World,
) -> None:
    failures: list[int] = []

    @workflow
    def flaky(ctx: WorkflowContext) -> str:
        if len(failures) < 2:
            failures.append(1)
            raise ConnectionError("down")
        return "up"

    start = every.now
    run = every.finish(flaky.trigger())

    assert (run.status, run.result, run.error_message) == (
        "completed",
        "up",
        "",
    )
    assert run.completed_at == start + timedelta(seconds=11)


def test_the_answer_holds_nothing_of_the_result(world: World) -> None:
    @workflow
    def secret(ctx: WorkflowContext) -> str:
        return "secret-result"

    secret.trigger()

    response = memory_transport().deliver(memory_transport().waiting[0])

    assert b"secret-result" not in response.content


def test_an_error_that_cannot_be_printed_or_stored_is_kept_as_it_can(
    every: World,
) -> None:
    class Unprintable(ValueError):
        def __str__(self) -> str:
            raise RuntimeError

    errors = [Unprintable(), ValueError("a\0b\ud800" + "x" * 20_000)]

    @workflow
    def broken(ctx: WorkflowContext) -> None:
        raise errors[int(ctx.data["n"])]

    runs = [every.finish(broken.trigger({"n": n})) for n in range(2)]

    assert runs[0].error_message == "an error that cannot be printed"
    assert runs[1].error_message.startswith("a\\0b\\ud800xxx")
    assert len(runs[1].error_message) < 10_100


def test_a_duplicate_message_starts_no_second_chain(every: World) -> None:
    calls: list[str] = []

    @workflow
    def chain(ctx: WorkflowContext) -> None:
        ctx.step.run("a", calls.append, "a")
        ctx.step.sleep("nap", 60)
        ctx.step.run("b", calls.append, "b")

    chain.trigger()
    message = memory_transport().waiting[0].delivery
    for _ in range(3):
        post(message)

    assert (
        len(memory_transport().waiting) == 2
    )  # the first, and that of the nap
    every.pass_time("1d")
    assert calls == ["a", "b"]


def test_a_tls_proxy_in_front_makes_no_difference(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DOMAIN = "https://shop.example.com"
    empty.trigger(run_id="r1")
    message = memory_transport().waiting[0].delivery
    url = "https://shop.example.com/hookflow/workflow/"
    body = message.encode()
    assert webhook_url(empty.workflow_id).startswith(url)

    response = send(
        body,
        sign(body, webhook_url(empty.workflow_id)),
        url=webhook_url(empty.workflow_id).removeprefix(
            "https://shop.example.com"
        ),
    )

    assert response.json()["status"] == "completed"


def test_an_answer_that_is_expected_is_no_error_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    statuses: list[int] = []

    @workflow
    def working(ctx: WorkflowContext) -> None:
        ctx.step.run("again", lambda: statuses.append(send_again()))

    def send_again() -> int:
        return post(message).status_code

    working.trigger()
    message = memory_transport().waiting[0].delivery
    with caplog.at_level("INFO"):
        world.deliver()

    assert statuses == [409]
    assert [r for r in caplog.records if r.name == "django.request"] == []
