"""Changes that only younger runs take."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


def old(ctx: WorkflowContext) -> Any:
    first = ctx.step.run("first", lambda: "first")
    ctx.step.sleep("rest", 60)
    return [first, ctx.step.run("post", lambda: "letter")]


def changed(ctx: WorkflowContext) -> Any:
    if ctx.patched("mail"):
        first = ctx.step.run("begin", lambda: "begin")
    else:
        first = ctx.step.run("first", lambda: "first")
    ctx.step.sleep("rest", 60)
    if ctx.patched("mail"):
        return [first, ctx.step.run("send", lambda: "mail")]
    return [first, ctx.step.run("post", lambda: "letter")]


def kinds() -> list[str]:
    steps = StepExecution.objects.order_by("position")
    return list(steps.values_list("step_id", flat=True))


def test_a_run_that_was_there_before_keeps_its_branch(every: World) -> None:
    letters = workflow(old)
    run_id = letters.trigger()
    every.deliver()
    letters.function = changed

    run = every.finish(run_id)

    assert run.result == ["first", "letter"]
    assert kinds() == ["first", "rest", "post"]


def test_a_new_run_takes_the_change_and_keeps_to_it(every: World) -> None:
    letters = workflow(changed)

    run = every.finish(letters.trigger())

    assert run.result == ["begin", "mail"]
    assert kinds() == ["mail~patch", "begin", "rest", "send"]


def test_a_run_takes_a_change_that_it_has_not_come_to(every: World) -> None:
    letters = workflow(old)
    run_id = letters.trigger()
    every.deliver()

    @workflow(workflow_id="later")
    def later(ctx: WorkflowContext) -> Any:
        ctx.step.run("first", lambda: "first")
        ctx.step.sleep("rest", 60)
        return [ctx.patched("more"), ctx.patched("more")]

    letters.function = later.function

    assert every.finish(run_id).result == [True, True]
    assert kinds() == ["first", "rest", "more~patch"]


def test_the_call_may_go_from_the_code_again(every: World) -> None:
    def drawing(ctx: WorkflowContext, asks: bool = True) -> bool:
        ctx.step.run("first", str)
        if asks:
            ctx.patched("more")
        drawn = [ctx.random().random(), ctx.now()]
        noted = ctx.step.run("note", lambda: drawn)
        ctx.step.sleep("rest", 60)
        return bool(noted == drawn)

    drawn = workflow(drawing)
    run_id = drawn.trigger()
    every.deliver()
    drawn.function = partial(drawing, asks=False)

    assert every.finish(run_id).result is True


def test_log_lines_around_it_appear_once(every: World, caplog: Any) -> None:
    @workflow
    def telling(ctx: WorkflowContext) -> None:
        ctx.log.warning("before")
        ctx.patched("more")
        ctx.log.warning("behind")
        ctx.step.sleep("rest", 60)
        ctx.log.warning("after")

    with caplog.at_level(logging.WARNING, logger="workflows.telling"):
        every.finish(telling.trigger())

    said = [r.message for r in caplog.records if "workflows" in r.name]
    assert said == ["before", "behind", "after"]


def test_a_retried_letter_keeps_the_answer(every: World) -> None:
    broken = [True]

    @workflow
    def failing(ctx: WorkflowContext) -> Any:
        answer = ctx.patched("more")
        ctx.step.run("first", str)
        if broken:
            raise PermanentError("not yet")
        return answer

    every.finish(failing.trigger())
    broken.clear()

    assert every.finish(DeadLetterEntry.objects.get().replay()).result is True


def test_a_rollback_takes_no_change(every: World) -> None:
    passes: list[WorkflowContext] = []
    undone: list[str] = []

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        passes.append(ctx)
        undo = ctx.step.options(compensate=undone.append)
        undo.run("first", lambda: "first")
        if len(passes) == 1:
            raise PermanentError("no")
        ctx.patched("more")
        passes.clear()

    run = every.finish(failing.trigger())

    assert (run.status, undone) == ("compensated", ["first"])
    assert kinds() == ["first", "first~undo"]
    assert len(passes) == 2


@pytest.mark.parametrize("change", ["", "a\nb", "x" * 250, 7])
def test_a_change_needs_a_name(world: World, change: Any) -> None:
    @workflow
    def misnamed(ctx: WorkflowContext) -> None:
        ctx.patched(change)

    run = world.finish(misnamed.trigger())

    assert (run.status, run.error_type) == ("failed", "MisusedStep")
    assert "Use text of 1 to 249 characters" in run.error_message


def test_it_is_not_asked_inside_a_transaction(world: World) -> None:
    @workflow
    def enclosed(ctx: WorkflowContext) -> None:
        with transaction.atomic():
            ctx.patched("more")

    run = world.finish(enclosed.trigger())

    assert "stands inside a transaction" in run.error_message


def test_steps_cannot_be_named_like_it(world: World) -> None:
    @workflow
    def named(ctx: WorkflowContext) -> None:
        ctx.step.run("more~patch", str)

    run = world.finish(named.trigger())

    assert run.error_message == (
        "Step 'more~patch' ends with '~patch'. The engine names entries of "
        "its own so, such as the undo of a step: choose another name."
    )


def test_a_deprecated_change_warns_in_runs_that_need_the_old_code(
    every: World, caplog: Any
) -> None:
    letters = workflow(old)
    older = letters.trigger(run_id="older")
    every.deliver()
    unbegun = letters.trigger(run_id="unbegun", delay="1h")

    def settled(ctx: WorkflowContext) -> Any:
        ctx.deprecate_patch("mail")
        ctx.step.run("begin", lambda: "begin")
        ctx.step.sleep("rest", 60)
        return "mail"

    letters.function = settled
    found = WorkflowRun.objects.unpatched("old", "mail")
    assert [run.run_id for run in found] == [older]
    every.finish(older)
    every.finish(unbegun)

    warned = {
        r.getMessage() for r in caplog.records if r.name == "workflows.old"
    }
    assert warned == {
        "Run 'older' is older than the change 'mail', and the code from "
        "before is gone. Put it back behind `if not ctx.patched('mail')` "
        "until WorkflowRun.objects.unpatched('old', 'mail') is empty."
    }
    assert not WorkflowRun.objects.unpatched("old", "mail").exists()
