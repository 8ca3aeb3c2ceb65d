"""Steps: run once, recorded, and the same at each replay."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import transaction

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RetryableError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.testing.world import World


def test_steps_run_once_in_one_delivery(every: World) -> None:
    calls: list[str] = []

    @workflow
    def three(ctx: WorkflowContext) -> list[str]:
        return [
            ctx.step.run(name, lambda name=name: calls.append(name) or name)
            for name in ("a", "b", "c")
        ]

    run = every.finish(three.trigger())

    assert calls == ["a", "b", "c"]
    assert (run.status, run.result) == ("completed", ["a", "b", "c"])
    assert (run.deliveries, run.messages) == (1, 1)


def test_the_time_budget_ends_a_delivery_and_the_next_goes_on(
    every: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0
    calls: list[str] = []

    @workflow
    def two(ctx: WorkflowContext) -> str:
        ctx.step.run("a", calls.append, "a")
        ctx.step.run("b", calls.append, "b")
        return "done"

    run = every.finish(two.trigger())

    assert calls == ["a", "b"]
    assert (run.result, run.deliveries, run.messages) == ("done", 3, 3)


def test_arguments_reach_the_function_whatever_their_names(
    every: World,
) -> None:
    @workflow
    def named(ctx: WorkflowContext) -> Any:
        return ctx.step.run("x", dict, step_id=1, fn=2, retry=3)

    run = every.finish(named.trigger())

    assert run.result == {"step_id": 1, "fn": 2, "retry": 3}


def test_first_pass_and_replay_see_equal_values(every: World) -> None:
    seen: list[Any] = []

    @workflow
    def typed(ctx: WorkflowContext) -> None:
        seen.append(ctx.step.run("pair", lambda: (1, {2, 3})))
        ctx.step.sleep("nap", 1)

    every.finish(typed.trigger())

    assert seen[:1] * len(seen) == seen
    assert seen[0] == (1, {2, 3})


def test_atomic_step_commits_its_rows_with_its_entry(every: World) -> None:
    def write_and_fail() -> None:
        Event.objects.create(name="row", event_id="1", created_at=every.now)
        if Event.objects.count() == 1 and not failed:
            failed.append(True)
            raise RetryableError("once")

    failed: list[bool] = []

    @workflow
    def atomic(ctx: WorkflowContext) -> None:
        ctx.step.options(atomic=True).run("write", write_and_fail)

    run = every.finish(atomic.trigger())

    assert run.status == "completed"
    assert Event.objects.count() == 1
    assert run.step_executions.get().attempts == 2


def test_step_without_atomic_keeps_what_it_wrote_before_failing(
    every: World,
) -> None:
    def write_and_fail() -> None:
        Event.objects.create(
            name="row",
            event_id=str(Event.objects.count()),
            created_at=every.now,
        )
        raise PermanentError("after the row")

    @workflow
    def plain(ctx: WorkflowContext) -> None:
        ctx.step.run("write", write_and_fail)

    run = every.finish(plain.trigger())

    assert run.status == "failed"
    assert Event.objects.count() == 1


def test_atomic_step_whose_commit_is_refused_is_a_failed_step(
    every: World,
) -> None:
    def dangling() -> None:
        StepExecution.objects.create(
            workflow_run_id=10**9, step_id="x", kind="run", position=0
        )

    @workflow
    def refused(ctx: WorkflowContext) -> None:
        ctx.step.options(atomic=True).run("write", dangling)

    run = every.finish(refused.trigger())

    assert run.status == "failed"
    assert "IntegrityError" in run.error_message
    assert [s.status for s in run.step_executions.all()] == ["failed"]


def test_optional_step_that_fails_returns_none_and_is_recorded(
    every: World,
) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ValueError("no mailbox")

    @workflow
    def optional(ctx: WorkflowContext) -> Any:
        mailed = ctx.step.options(optional=True).run("mail", fail)
        ctx.step.sleep("nap", 1)
        return {"mailed": mailed}

    run = every.finish(optional.trigger())

    assert (run.status, run.result) == ("completed", {"mailed": None})
    assert calls == [1]
    step = run.step_executions.get(step_id="mail")
    assert (step.status, step.error_message) == ("failed", "no mailbox")
    assert not DeadLetterEntry.objects.exists()


def test_failed_step_takes_the_same_branch_at_every_replay(
    every: World,
) -> None:
    calls: list[str] = []

    def main() -> None:
        calls.append("main")
        if calls.count("main") == 1:
            raise ValueError("today")

    @workflow
    def fallback(ctx: WorkflowContext) -> str:
        try:
            ctx.step.run("main", main)
            branch = "main"
        except WorkflowError:
            branch = ctx.step.run("fallback", lambda: "fallback")
        ctx.step.sleep("nap", 1)
        return branch

    run = every.finish(fallback.trigger())

    assert (run.status, run.result) == ("completed", "fallback")
    assert calls == ["main"]


def test_the_cause_of_a_failure_is_there_in_the_first_pass_only(
    every: World,
) -> None:
    failure = ValueError("today")
    seen: list[tuple[BaseException | None, str, str]] = []

    def fail() -> None:
        raise failure

    @workflow
    def looking(ctx: WorkflowContext) -> None:
        try:
            ctx.step.run("main", fail)
        except WorkflowError as error:
            seen.append((error.__cause__, error.error_type, error.error))
        ctx.step.sleep("nap", 1)

    every.finish(looking.trigger())

    assert seen == [
        (failure, "ValueError", "today"),
        (None, "ValueError", "today"),
    ]


def test_retries_follow_the_policy_and_count_attempts(every: World) -> None:
    times: list[float] = []

    def fail() -> None:
        times.append((every.now - start).total_seconds())
        raise ConnectionError("down")

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", fail)

    start = every.now
    run = every.finish(failing.trigger())

    assert times == [0, 1, 11, 111]
    assert run.error_message == (
        "Step 'charge' was tried 4 times and failed: ConnectionError: down"
    )
    assert run.step_executions.get().attempts == 4


def test_a_step_may_have_its_own_policy(every: World) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ConnectionError("down")

    @workflow(retry=RetryPolicy(retries=9))
    def own(ctx: WorkflowContext) -> None:
        once = RetryPolicy(retries=1, delay=60, maximum=5)
        ctx.step.options(retry=once).run("charge", fail)

    start = every.now
    run = every.finish(own.trigger())

    assert calls == [1, 1]
    assert run.completed_at is not None
    assert (run.completed_at - start).total_seconds() == 5


def test_an_error_may_ask_for_its_own_delay(every: World) -> None:
    calls: list[int] = []

    def fail_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RetryableError("slow down", retry_after=42)

    @workflow
    def asks(ctx: WorkflowContext) -> None:
        ctx.step.run("call", fail_once)

    start = every.now
    run = every.finish(asks.trigger())

    assert run.completed_at is not None
    assert (run.completed_at - start).total_seconds() == 42


def test_a_run_that_waits_for_a_retry_says_why_and_forgets_it_later(
    every: World,
) -> None:
    calls: list[int] = []

    def fail_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("down")

    @workflow
    def once(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", fail_once)

    run_id = once.trigger()
    every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.error_message) == ("waiting", "down")
    run = every.finish(run_id)
    assert (run.status, run.error_message) == ("completed", "")


@pytest.mark.promise("key")
def test_context_tells_the_same_at_every_replay(every: World) -> None:
    seen: list[Any] = []

    @workflow
    def facts(ctx: WorkflowContext) -> None:
        begun = ctx.now()
        ctx.step.sleep("nap", 60)
        seen.append(
            (
                ctx.run_id,
                ctx.workflow_id,
                ctx.data,
                ctx.started_at,
                begun,
                ctx.workflow_time(),
                ctx.elapsed().total_seconds(),
                ctx.idempotency_key("x"),
            )
        )
        ctx.step.sleep("again", 60)

    every.finish(facts.trigger({"a": 1}, run_id="r1"))

    assert len(set(map(str, seen))) == 1
    assert seen[0][:3] == ("r1", "facts", {"a": 1})
    assert seen[0][3] == seen[0][4]
    assert seen[0][6] == 60
    assert seen[0][7] == "r1:x"


def test_steps_may_be_added_removed_and_reordered_in_a_deploy(
    every: World,
) -> None:
    calls: list[str] = []
    order = ["a", "b"]

    @workflow
    def changing(ctx: WorkflowContext) -> None:
        for name in order:
            ctx.step.run(name, calls.append, name)
        ctx.step.sleep("nap", 60)
        ctx.step.run("end", calls.append, "end")

    run_id = changing.trigger()
    every.deliver()
    order[:] = ["c", "b"]
    run = every.finish(run_id)

    assert run.status == "completed"
    assert calls == ["a", "b", "c", "end"]


def test_a_workflow_without_steps_completes(every: World) -> None:
    @workflow
    def none(ctx: WorkflowContext) -> str:
        return "early"

    run = every.finish(none.trigger())

    assert (run.status, run.result) == ("completed", "early")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            lambda ctx: [ctx.step.run("mail", str) for _ in range(2)],
            "Step 'mail' was asked for twice in one pass. Its first result "
            "would be returned again. In a loop, make the id of the item: "
            'f"mail-{customer.pk}".',
        ),
        (
            lambda ctx: ctx.step.options(atomic=True).sleep("nap", 1),
            "Step 'nap' is a sleep step, which knows no option 'atomic'. "
            "Leave it out, or use it with run.",
        ),
        (
            lambda ctx: ctx.step.options(retry=RetryPolicy()).sleep("nap", 1),
            "Step 'nap' is a sleep step, which knows no option 'retry'. "
            "Leave it out, or use it with run, call, map, parallel and "
            "until.",
        ),
        (
            lambda ctx: ctx.step.options(optional=True).sleep("nap", 1),
            "Step 'nap' is a sleep step, which knows no option 'optional'. "
            "Leave it out, or use it with run, call, invoke, map, "
            "parallel, until and wait_for_event.",
        ),
        (
            lambda ctx: ctx.step.run("", str),
            "Step '' has no name. Give each step a text as id.",
        ),
        (
            lambda ctx: ctx.step.run(4711, str),
            "Step '4711' has no name. Give each step a text as id.",
        ),
        (
            lambda ctx: ctx.step.run("x" * 256, str),
            f"Step {'x' * 256!r} has a name of 256 characters. "
            "Use at most 255.",
        ),
        (
            lambda ctx: ctx.step.run("a\0b", str),
            "Step 'a\\x00b' has a control character or a line break in its "
            "name. Leave it out; letters of all languages are fine.",
        ),
    ],
)
def test_misused_steps_fail_with_what_to_do(
    every: World, body: Any, message: str
) -> None:
    @workflow
    def misused(ctx: WorkflowContext) -> None:
        body(ctx)

    run = every.finish(misused.trigger())

    assert (run.status, run.error_message) == ("failed", message)


def test_a_step_inside_a_step_is_refused(every: World) -> None:
    calls: list[str] = []

    @workflow
    def nested(ctx: WorkflowContext) -> None:
        ctx.step.run("outer", lambda: ctx.step.run("inner", calls.append, "x"))

    run = every.finish(nested.trigger())

    assert run.status == "failed"
    assert "Step 'inner' stands inside step 'outer'" in run.error_message
    assert calls == []


def test_a_step_that_changed_its_kind_says_both(every: World) -> None:
    kinds = ["run"]

    @workflow
    def changing(ctx: WorkflowContext) -> None:
        if kinds == ["run"]:
            ctx.step.run("x", str)
        else:
            ctx.step.sleep("x", 1)
        ctx.step.sleep("nap", 60)

    run_id = changing.trigger()
    every.deliver()
    kinds[:] = ["sleep"]
    run = every.finish(run_id)

    assert run.error_message == (
        "Step 'x' is recorded as 'run' and the code now asks for 'sleep'. "
        "Give the new step another id; runs under way keep the old one."
    )


def test_a_step_may_start_another_workflow_exactly_once(
    every: World,
) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> None: ...

    @workflow
    def parent(ctx: WorkflowContext) -> str:
        return ctx.step.options(atomic=True).run("start", child.trigger)

    run = every.finish(parent.trigger())

    assert every.run_of(run.result).status == "completed"


def test_a_workflow_called_directly_is_the_plain_function() -> None:
    @workflow
    def plain(ctx: Any) -> str:
        """Say how it was called."""
        return f"called with {ctx}"

    assert plain("x") == "called with x"  # type: ignore[arg-type]
    assert (plain.__name__, plain.__doc__) == (
        "plain",
        "Say how it was called.",
    )


def test_trigger_inside_a_rolled_back_transaction_starts_nothing(
    every: World,
) -> None:
    @workflow
    def never(ctx: WorkflowContext) -> None: ...

    with transaction.atomic():
        never.trigger(run_id="r1")
        transaction.set_rollback(True)

    assert every.deliver() == 0


def test_an_atomic_step_that_spoilt_its_transaction_has_failed(
    every: World,
) -> None:
    @workflow
    def spoiling(ctx: WorkflowContext) -> None:
        step = ctx.step.options(atomic=True)
        step.run("work", transaction.set_rollback, True)

    run = every.finish(spoiling.trigger())

    assert run.status == "failed"
    step = run.step_executions.get()
    assert step.error_type == "TransactionManagementError"


def test_a_retry_after_a_sleep_waits_for_its_own_delay(every: World) -> None:
    calls: list[datetime] = []

    def fail_once() -> None:
        calls.append(every.now)
        if len(calls) == 1:
            raise ConnectionError("down")

    @workflow
    def sleepy(ctx: WorkflowContext) -> None:
        ctx.step.sleep("week", "7d")
        ctx.step.run("charge", fail_once)

    every.finish(sleepy.trigger())

    assert calls[1] - calls[0] == timedelta(seconds=1)


def test_a_result_is_never_taken_for_an_instruction(every: World) -> None:
    results = [{"slept_for": 28_800}, {"slept_for": "8 hours"}]

    @workflow
    def tracker(ctx: WorkflowContext) -> Any:
        return [
            ctx.step.run(f"night-{n}", lambda n=n: results[n])
            for n in range(2)
        ]

    run = every.finish(tracker.trigger())

    assert (run.result, run.messages) == (results, 1)


def test_except_exception_around_a_step_swallows_no_suspension(
    every: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0
    calls: list[str] = []

    @workflow
    def careless(ctx: WorkflowContext) -> str:
        try:
            ctx.step.run("charge", calls.append, "charge")
            ctx.step.sleep("nap", 60)
        except Exception:
            calls.append("swallowed")
        return "done"

    run = every.finish(careless.trigger())

    assert (run.status, run.result) == ("completed", "done")
    assert calls == ["charge"]


def test_a_step_in_a_finally_block_runs_once(every: World) -> None:
    calls: list[str] = []

    @workflow
    def tidy(ctx: WorkflowContext) -> str:
        try:
            ctx.step.run("reserve", calls.append, "reserve")
            ctx.step.sleep("nap", 60)
            ctx.step.wait_for_event("paid", "paid", timeout="1h")
        except WorkflowError:
            return "too late"
        finally:
            ctx.step.run("release", calls.append, "release")

    run = every.finish(tidy.trigger())

    assert (run.status, run.result) == ("completed", "too late")
    assert calls == ["reserve", "release"]


def test_a_bare_except_around_a_wait_still_waits(every: World) -> None:
    @workflow
    def bare(ctx: WorkflowContext) -> str:
        try:
            ctx.step.sleep("nap", 60)
        except BaseException:
            return "swallowed"
        return "slept"

    run = every.finish(bare.trigger())

    assert (run.status, run.result) == ("completed", "slept")


def test_a_run_is_running_during_its_first_step(every: World) -> None:
    seen: list[str] = []

    @workflow
    def looking(ctx: WorkflowContext) -> None:
        ctx.step.run("look", lambda: seen.append(status()))

    def status() -> str:
        return every.run_of(run_id).status

    run_id = looking.trigger()
    seen.append(status())
    every.deliver()

    assert seen == ["pending", "running"]


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ConnectionError("invalid value: not found"), 4),
        (RuntimeError("permanent"), 4),
        (ValueError("connection reset, try again"), 1),
        (KeyError("timeout"), 1),
        (TypeError("temporary"), 1),
        (Event.DoesNotExist("x"), 1),
        (PermanentError("please retry"), 1),
        (RetryableError("never again"), 4),
    ],
)
def test_errors_are_judged_by_type_and_not_by_their_words(
    every: World, error: Exception, attempts: int
) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise error

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("drop-invalid-emails", fail)

    every.finish(failing.trigger())

    assert len(calls) == attempts


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(400, 1), (404, 1), (410, 1), (408, 4), (425, 4), (429, 4), (503, 4)],
)
def test_an_answer_of_httpx_is_judged_by_its_status(
    every: World, status: int, attempts: int
) -> None:
    calls: list[int] = []

    def fetch() -> None:
        calls.append(1)
        request = httpx.Request("GET", "http://provider/")
        httpx.Response(status, request=request).raise_for_status()

    @workflow
    def fetching(ctx: WorkflowContext) -> None:
        ctx.step.run("fetch", fetch)

    run = every.finish(fetching.trigger())

    assert (run.status, len(calls)) == ("failed", attempts)
    assert "HTTPStatusError" in run.error_message
