"""Errors outside the function: they are reported, never a silent crash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


class Busy(Exception):
    """An error of another library that has a field of ours."""

    def __init__(self, retry_after: Any) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


NO_PAUSE = ["soon", object(), float("nan"), None]


def test_data_whose_row_is_gone_fails_the_run_and_says_so(
    every: World,
) -> None:
    @workflow
    def greeting(ctx: WorkflowContext) -> None: ...

    ada = User.objects.create(username="ada")
    run_id = greeting.trigger({"who": ada})
    ada.delete()
    run = every.finish(run_id)

    assert (run.status, run.error_type) == ("failed", "DoesNotExist")
    assert (run.deliveries, run.crashes) == (1, 0)
    assert DeadLetterEntry.objects.get().run_id == run_id


def test_a_sleep_until_the_end_of_time_waits(every: World) -> None:
    end = datetime.max.replace(tzinfo=UTC)

    @workflow
    def patient(ctx: WorkflowContext) -> None:
        ctx.step.sleep_until("for ever", end)

    run_id = patient.trigger()
    every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.wake_at, run.sweep_at) == ("waiting", end, end)


WEST, EAST = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("when", "status"),
    [
        (datetime.max.replace(tzinfo=WEST), "waiting"),
        (datetime.max.replace(tzinfo=EAST), "waiting"),
        (datetime.min.replace(tzinfo=EAST), "completed"),
        (datetime.min.replace(tzinfo=WEST), "completed"),
    ],
    ids=str,
)
def test_a_sleep_until_a_time_that_utc_does_not_have_waits_or_ends(
    every: World, when: datetime, status: str
) -> None:
    @workflow
    def patient(ctx: WorkflowContext) -> None:
        ctx.step.sleep_until("for ever", when)

    run_id = patient.trigger()
    every.deliver()

    assert every.run_of(run_id).status == status


@pytest.mark.parametrize(
    "wanted", NO_PAUSE, ids=["text", "object", "nan", "none"]
)
def test_a_pause_that_is_none_leaves_the_policy_its_own(
    every: World, wanted: Any
) -> None:
    def ask() -> None:
        raise Busy(wanted)

    @workflow(retry=RetryPolicy(retries=1))
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.run("ask", ask)

    run = every.finish(asking.trigger())

    step = run.step_executions.get()
    assert (step.status, step.attempts) == ("failed", 2)
    assert (step.error_type, step.error_message) == ("Busy", "busy")


def test_a_pause_may_be_a_timedelta(every: World) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> None:
        raise Busy(timedelta(minutes=5))

    run_id = asking.trigger()
    every.deliver()

    run = every.run_of(run_id)
    assert (run.status, run.error_type) == ("waiting", "Busy")
    assert run.wake_at == every.now + timedelta(minutes=5)


def test_a_policy_without_measure_is_cut_short(every: World) -> None:
    @workflow(retry=RetryPolicy(delay=1e12, maximum=1e13))
    def asking(ctx: WorkflowContext) -> None:
        raise ConnectionError("away")

    run_id = asking.trigger()
    every.deliver()

    run = every.run_of(run_id)
    assert run.wake_at == every.now + timedelta(days=30)


def test_a_step_in_another_thread_is_refused(every: World) -> None:
    @workflow
    def hasty(ctx: WorkflowContext) -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(ctx.step.run, "aside", str).result()

    run = every.finish(hasty.trigger())

    assert (run.status, run.error_type) == ("failed", "MisusedStep")
    assert run.error_message == (
        "Step 'aside' was asked for in another thread. Its entry would not "
        "commit with what it writes. Call steps in the thread of the "
        "workflow function; a step's own function may use threads."
    )
    assert not run.step_executions.exists()
    assert WorkflowRun.objects.count() == 1
