"""`ctx.step.invoke`: a run that another run waits for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import look_again_at_all
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import EPOCH
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport


@workflow(workflow_id="invoked-doubling")
def doubling(ctx: WorkflowContext) -> Any:
    ctx.step.sleep("think", 60)
    return ctx.step.run("double", lambda: ctx.data["number"] * 2)


@workflow(workflow_id="invoked-failing")
def failing(ctx: WorkflowContext) -> None:
    def fail() -> None:
        raise PermanentError("no more paper")

    ctx.step.run("print", fail)


@workflow(workflow_id="invoked-waiting")
def waiting(ctx: WorkflowContext) -> Any:
    return ctx.step.wait_for_event("answer", "answer")


@workflow(workflow_id="invoked-quadrupling")
def quadrupling(ctx: WorkflowContext) -> Any:
    return 2 * ctx.step.invoke("double", doubling, {"number": 1})


def children_of(run: WorkflowRun) -> list[WorkflowRun]:
    return list(WorkflowRun.objects.filter(parent=run))


def test_the_result_of_another_workflow_comes_back(every: World) -> None:
    @workflow
    def adding(ctx: WorkflowContext) -> int:
        first = ctx.step.invoke("first", doubling, {"number": 4})
        second = ctx.step.invoke("second", doubling, {"number": first})
        return first + second

    run = every.finish(adding.trigger())

    assert (run.status, run.result) == ("completed", 24)
    assert [
        (child.parent_step, child.status, child.depth, child.result)
        for child in children_of(run)
    ] == [("second", "completed", 1, 16), ("first", "completed", 1, 8)]
    assert [child.sweep_at for child in children_of(run)] == [None, None]


def test_the_failure_of_another_workflow_comes_back(every: World) -> None:
    @workflow
    def trying(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.invoke("try", failing)
        except WorkflowError as error:
            return [error.step_id, error.error_type, error.error]

    run = every.finish(trying.trigger())

    assert run.result == [
        "try",
        "PermanentError",
        "Step 'print' was tried once and failed: "
        "PermanentError: no more paper",
    ]
    # The parent has dealt with it, so there is nothing to retry.
    assert not DeadLetterEntry.objects.exists()


def test_an_optional_one_fails_silently(every: World) -> None:
    @workflow
    def trying(ctx: WorkflowContext) -> Any:
        return [ctx.step.options(optional=True).invoke("try", failing)]

    assert every.finish(trying.trigger()).result == [None]


def test_a_retried_letter_goes_on_behind_what_the_child_completed(
    every: World,
) -> None:
    calls: list[str] = []
    broken = [True]

    @workflow
    def child(ctx: WorkflowContext) -> str:
        ctx.step.run("charge", calls.append, "charge")
        if broken[0]:
            ctx.step.run("fail", lambda: 1 / 0)
        return ctx.idempotency_key("charge")

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("child", child)

    failed = every.finish(parent.trigger())
    before = children_of(failed)[0]
    broken[0] = False
    letter = DeadLetterEntry.objects.get()
    run = every.finish(letter.replay())

    assert (failed.status, failed.error_step) == ("failed", "child")
    assert (run.status, run.origin_id) == ("completed", failed.pk)
    assert children_of(run)[0].origin_id == before.pk
    assert calls == ["charge"]
    assert run.result == f"{before.run_id}:charge"


def test_a_child_with_other_data_begins_at_its_beginning(
    every: World,
) -> None:
    calls: list[int] = []
    number = [1]

    @workflow
    def child(ctx: WorkflowContext) -> None:
        ctx.step.run("charge", calls.append, ctx.data["number"])
        if ctx.data["number"] == 1:
            raise PermanentError("no such number")

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("child", child, {"number": number[0]})

    every.finish(parent.trigger())
    number[0] = 2
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert (run.status, calls) == ("completed", [1, 2])


def test_a_parent_that_fails_leaves_no_open_child(every: World) -> None:
    passes: list[int] = []

    @workflow
    def grandchild(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("ask", waiting)

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        passes.append(1)
        if len(passes) > 1:  # as a deploy may change it
            raise PermanentError("not any more")
        return ctx.step.invoke("child", grandchild)

    run_id = parent.trigger()
    every.deliver()
    every.advance("1d")
    look_again_at_all()
    run = every.finish(run_id)

    states = WorkflowRun.objects.order_by("depth").values_list(
        "depth", "status", "sweep_at"
    )
    assert run.status == "failed"
    assert list(states) == [
        (0, "failed", None),
        (1, "cancelled", None),
        (2, "cancelled", None),
    ]


def test_a_child_at_work_is_cancelled_after_its_step(world: World) -> None:
    passes: list[int] = []

    def end_the_parent() -> None:
        # Another worker runs it meanwhile, to an end without this step.
        look_again_at_all()
        world.deliver()

    @workflow
    def child(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 60)
        ctx.step.run("work", end_the_parent)
        ctx.step.sleep("rest", 60)
        ctx.step.run("never", passes.append, 2)

    @workflow
    def parent(ctx: WorkflowContext) -> None:
        passes.append(1)
        if len(passes) == 1:
            ctx.step.invoke("child", child)

    run = world.finish(parent.trigger())

    (ended,) = children_of(run)
    steps = ended.step_executions.values_list("step_id", "status")
    assert (run.status, ended.status) == ("completed", "cancelled")
    assert list(steps) == [("nap", "completed"), ("work", "completed")]
    assert passes == [1, 1]


def test_a_lost_look_is_made_up_by_the_sweeper(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("child", doubling, {"number": 1})

    run_id = parent.trigger()
    with monkeypatch.context() as patched:
        patched.setattr(
            "django_hookflow.persistence.commits._looks",
            lambda run, verdict: [],
        )
        world.pass_time("1h")
    assert world.run_of(run_id).status == "waiting"
    assert not memory_transport().waiting
    sweep()

    assert world.finish(run_id).result == 2


def test_a_child_may_wait_for_events(every: World) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("ask", waiting)

    run_id = asking.trigger()
    every.deliver()
    (child,) = children_of(every.run_of(run_id))
    send_event("answer", "yes", run_id=child.run_id)

    assert every.finish(run_id).result == "yes"


def test_a_child_that_was_erased_is_a_failure(every: World) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.invoke("ask", waiting)
        except WorkflowError as error:
            return error.error_type

    run_id = asking.trigger()
    every.deliver()
    (child,) = children_of(every.run_of(run_id))
    call_command("hookflow_erase", child.run_id, "--open")
    every.advance("1h")
    sweep()

    assert every.finish(run_id).result == "RunNotFound"


def test_a_child_is_kept_while_its_parent_is_open(every: World) -> None:
    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        ctx.step.invoke("child", doubling, {"number": 1})
        ctx.step.sleep("nap", "90d")

    run_id = parent.trigger()
    every.pass_time("60d")
    call_command("cleanup_workflows")
    kept = len(children_of(every.run_of(run_id)))
    every.pass_time("61d")
    call_command("cleanup_workflows")

    assert kept == 1
    assert not WorkflowRun.objects.exists()


def test_a_child_that_is_cancelled_is_a_failure(every: World) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.invoke("ask", waiting)
        except WorkflowError as error:
            return [error.error_type, error.error]

    run_id = asking.trigger()
    every.deliver()
    (child,) = children_of(every.run_of(run_id))
    WorkflowRun.objects.filter(pk=child.pk).update(requested="cancel")
    look_again_at_all()

    said = f"run {child.run_id} was cancelled"
    assert every.finish(run_id).result == ["RunCancelled", said]
    assert every.run_of(child.run_id).status == "cancelled"


def test_a_parent_that_looks_early_goes_on_waiting(every: World) -> None:
    run_id = quadrupling.trigger()
    every.deliver()
    look_again_at_all()
    every.deliver()
    early = every.run_of(run_id)

    assert (early.status, early.deliveries, early.wake_at) == (
        "waiting",
        2,
        None,
    )
    assert every.finish(run_id).result == 4


def test_a_child_that_ends_while_its_parent_looks_is_not_missed(
    every: World,
) -> None:
    commits: list[str] = []

    def end_before_commit(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        is_commit = "lease_until = NULL" in sql and params[0] == "waiting"
        if is_commit and not commits:
            commits.append(sql)
            memory_transport().drain()  # the child's message
        return execute(sql, params, many, context)

    run_id = quadrupling.trigger()
    every.deliver()
    every.advance("30s")
    look_again_at_all()
    message = memory_transport().due()[0]
    every.advance("30s")
    with connection.execute_wrapper(end_before_commit):
        memory_transport().deliver(message)

    assert commits
    assert every.run_of(run_id).status == "waiting"
    (child,) = children_of(every.run_of(run_id))
    assert (child.status, child.sweep_at) == ("completed", None)
    every.deliver()
    assert every.run_of(run_id).result == 4


def test_a_child_that_ends_when_its_parent_is_due_wakes_it_once(
    every: World,
) -> None:
    run_id = quadrupling.trigger()
    every.deliver()
    every.advance("60s")
    look_again_at_all()
    for message in memory_transport().due():
        if message.delivery.run_id != run_id:
            memory_transport().deliver(message)

    (child,) = children_of(every.run_of(run_id))
    assert (child.status, child.sweep_at) == ("completed", None)
    run = every.finish(run_id)
    assert (run.result, run.deliveries) == (4, 2)


def test_a_child_that_its_parent_has_passed_by_ends_no_sleep_early(
    every: World,
) -> None:
    passes: list[int] = []

    @workflow
    def parent(ctx: WorkflowContext) -> None:
        passes.append(1)
        if len(passes) == 1:  # a deploy removes the step
            ctx.step.invoke("child", doubling, {"number": 1})
        ctx.step.sleep("nap", "1h")

    run_id = parent.trigger()
    every.deliver()
    look_again_at_all()
    every.deliver()
    every.pass_time("10m")

    (child,) = children_of(every.run_of(run_id))
    assert (child.status, child.sweep_at) == ("completed", None)
    assert every.run_of(run_id).status == "waiting"
    run = every.finish(run_id)
    assert run.completed_at == EPOCH + timedelta(hours=1)


def test_a_late_look_at_a_child_that_its_parent_knows_wakes_nothing(
    every: World,
) -> None:
    @workflow
    def parent(ctx: WorkflowContext) -> None:
        ctx.step.invoke("child", doubling, {"number": 1})
        ctx.step.sleep("nap", "1d")

    run_id = parent.trigger()
    every.pass_time("10m")
    # As if the process had died after it woke the parent.
    WorkflowRun.objects.filter(depth=1).update(sweep_at=every.now)
    sweep()

    (child,) = children_of(every.run_of(run_id))
    assert child.sweep_at is None
    assert every.run_of(run_id).deliveries == 2


def test_a_workflow_that_invokes_itself_without_end_fails(
    world: World,
) -> None:
    @workflow
    def digging(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("deeper", digging)

    run = world.finish(digging.trigger())

    assert (run.status, run.error_step) == ("failed", "deeper")
    assert "below 64 others" in run.error_message
    assert WorkflowRun.objects.filter(status="failed").count() == 65


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("doubling",), "'doubling', which is not a workflow"),
        ((doubling, [1]), "data of type list"),
    ],
)
def test_bad_arguments_are_refused_with_a_cure(
    every: World, arguments: tuple[Any, ...], said: str
) -> None:
    @workflow
    def wrong(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("wrong", *arguments)

    run = every.finish(wrong.trigger())

    assert (run.status, run.error_type) == ("failed", "MisusedStep")
    assert said in run.error_message
    assert WorkflowRun.objects.count() == 1
