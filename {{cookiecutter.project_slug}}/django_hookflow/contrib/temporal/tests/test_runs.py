"""Runs move on a real server of Temporal, by the real worker."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Replayer

from django_hookflow import pause_run
from django_hookflow import resume_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.contrib.temporal.run import HookflowRun
from django_hookflow.contrib.temporal.tests import programs
from django_hookflow.contrib.temporal.tests.asking import ended
from django_hookflow.contrib.temporal.tests.asking import events_of
from django_hookflow.contrib.temporal.tests.asking import execution
from django_hookflow.contrib.temporal.tests.asking import new_id
from django_hookflow.contrib.temporal.tests.asking import of_client
from django_hookflow.contrib.temporal.tests.asking import of_execution
from django_hookflow.contrib.temporal.tests.asking import status_of
from django_hookflow.contrib.temporal.tests.sandboxed import Imports
from django_hookflow.contrib.temporal.tests.server import EVENTS
from django_hookflow.contrib.temporal.tests.server import DevServer
from django_hookflow.contrib.temporal.tests.server import wait_until
from django_hookflow.contrib.temporal.tests.server import working
from django_hookflow.contrib.temporal.worker import Job
from django_hookflow.contrib.temporal.worker import sandbox
from django_hookflow.delivery import Delivery
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.states import RunStatus
from django_hookflow.transports import get_transport

pytestmark = pytest.mark.usefixtures("workflows")

COMPLETED = WorkflowExecutionStatus.COMPLETED


def test_a_run_ends_through_all_its_waits(worker: Job) -> None:
    order = workflow(programs.order)
    workflow(programs.ship)

    run_id = order.trigger(data={"to": "Ada"}, run_id=new_id())
    send_event("paid", {"cents": 4711}, run_id=run_id)

    assert ended(run_id).result == {
        "paid": {"cents": 4711},
        "parcel": "to Ada",
        "mails": ["one", "two", "three"],
    }
    first, *others = programs.effects()
    assert first == "reserve"
    assert sorted(others) == ["charge"] * 3 + ["one", "ship", "three", "two"]
    assert status_of(run_id) == COMPLETED
    child = WorkflowRun.objects.get(parent_step="ship")
    assert status_of(child.run_id) == COMPLETED
    assert asyncio.run(execution(run_id).memo()) == {"workflow_id": "order"}
    history = of_execution(run_id, lambda handle: handle.fetch_history())
    replayer = Replayer(workflows=[HookflowRun], workflow_runner=sandbox())
    asyncio.run(replayer.replay_workflow(history))


def test_a_run_that_fails_is_a_failed_execution(worker: Job) -> None:
    run_id = workflow(programs.fail).trigger(run_id=new_id())

    assert ended(run_id).error_type == "ValueError"
    assert status_of(run_id) == WorkflowExecutionStatus.FAILED


def test_a_cancel_in_temporal_undoes_the_steps(worker: Job) -> None:
    run_id = workflow(programs.undone).trigger(run_id=new_id())
    wait_until(lambda: row(run_id).status == RunStatus.WAITING)

    of_execution(run_id, lambda handle: handle.cancel())

    assert ended(run_id).status == RunStatus.COMPENSATED
    assert programs.effects() == ["take", "give back take"]
    assert status_of(run_id) == COMPLETED


def test_stale_and_repeated_signals_move_nothing_twice(worker: Job) -> None:
    run_id = workflow(programs.steady).trigger(run_id=new_id())
    first = Delivery(
        run_id=run_id,
        workflow_id="steady",
        token=row(run_id).wake_token,
    )

    for number in range(20):
        get_transport().send(replace(first, repeat=number))

    assert ended(run_id).result == 6
    assert programs.effects() == [f"step-{number}" for number in range(6)]


def test_a_run_with_one_sleep_costs_five_actions(worker: Job) -> None:
    """Those that docs/temporal.md counts, beside the start."""
    run_id = workflow(programs.ship).trigger(
        data={"to": "Ada"}, run_id=new_id()
    )
    ended(run_id)

    kinds = Counter(events_of(run_id))

    assert kinds["WORKFLOW_EXECUTION_SIGNALED"] == 1
    assert kinds["ACTIVITY_TASK_SCHEDULED"] == 2
    assert kinds["TIMER_STARTED"] == 1


def test_a_late_signal_for_a_run_that_has_ended_changes_nothing(
    worker: Job,
) -> None:
    run_id = workflow(programs.ship).trigger(
        data={"to": "Ada"}, run_id=new_id()
    )
    before = ended(run_id)

    get_transport().send(
        Delivery(run_id=run_id, workflow_id="ship", token="old")
    )

    after = ended(run_id)
    assert (after.result, after.deliveries) == (
        before.result,
        before.deliveries,
    )
    assert programs.effects() == ["ship"]


def test_a_signal_for_a_run_without_a_row_ends_its_execution(
    worker: Job,
) -> None:
    run_id = new_id()

    get_transport().send(Delivery(run_id=run_id, workflow_id="w", token="t"))

    wait_until(lambda: status_of(run_id) == COMPLETED)


def test_a_paused_run_does_nothing_until_it_is_resumed(worker: Job) -> None:
    run_id = workflow(programs.undone).trigger(run_id=new_id())
    wait_until(lambda: row(run_id).status == RunStatus.WAITING)
    pause_run(run_id)
    live = row(run_id)

    get_transport().send(
        Delivery(run_id=run_id, workflow_id="undone", token=live.wake_token)
    )
    wait_until(lambda: has_answered(run_id, signals=2))
    assert row(run_id).status == RunStatus.PAUSED
    assert not is_scheduled(run_id)

    resume_run(run_id)
    wait_until(lambda: row(run_id).status == RunStatus.WAITING)


def test_a_long_history_continues_as_new(worker: Job) -> None:
    run_id = workflow(programs.undone).trigger(run_id=new_id())
    wait_until(lambda: row(run_id).status == RunStatus.WAITING)
    begun = execution(run_id).run_id
    stale = Delivery(run_id=run_id, workflow_id="undone", token="stale")

    while execution(run_id).run_id == begun:
        get_transport().send(stale)

    assert row(run_id).status == RunStatus.WAITING
    of_execution(run_id, lambda handle: handle.cancel())
    assert ended(run_id).status == RunStatus.COMPENSATED
    assert EVENTS < 1000


def test_what_could_not_be_sent_is_sent_by_the_sweeper(
    worker: Job, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_SWEEP_AFTER = 0
    address = settings.TEMPORAL_ADDRESS
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 0.2
    run_id = workflow(programs.ship).trigger(
        data={"to": "Ada"}, run_id=new_id()
    )
    settings.TEMPORAL_ADDRESS = address
    settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 10

    maintenance.sweep_within(10)

    assert ended(run_id).result == "to Ada"


def test_the_sandbox_takes_models_and_sentry(temporal: DevServer) -> None:
    job = Job(task_queue=new_id(), workflows=[Imports])

    with working(job):
        text = of_client(
            lambda client: client.execute_workflow(
                "imports", "Names:", id=new_id(), task_queue=job.task_queue
            )
        )

    assert text == "Names: WorkflowRun TemporalTransport Hub"


def row(run_id: str) -> WorkflowRun:
    return WorkflowRun.objects.get(run_id=run_id)


def has_answered(run_id: str, signals: int) -> bool:
    """Return True if that many signals came, and no activity is open."""
    kinds = events_of(run_id)
    done = kinds.count("ACTIVITY_TASK_COMPLETED")
    return kinds.count("WORKFLOW_EXECUTION_SIGNALED") >= signals and (
        done == kinds.count("ACTIVITY_TASK_SCHEDULED") >= signals
    )


def is_scheduled(run_id: str) -> bool:
    """Return True if an activity or a timer of the execution is open."""
    kinds = events_of(run_id)
    timers = kinds.count("TIMER_STARTED")
    return timers > kinds.count("TIMER_CANCELED") + kinds.count("TIMER_FIRED")
