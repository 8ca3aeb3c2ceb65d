"""The workflows run on a real server of Temporal, which skips time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from temporalio.client import WorkflowFailureError
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from temporal_app.tests.conftest import QUEUE
from temporal_app.tests.conftest import working
from temporal_app.workflows import LARGEST
from temporal_app.workflows import PARALLEL
from temporal_app.workflows import PER_EXECUTION
from temporal_app.workflows import BatchProcessingWorkflowInput
from temporal_app.workflows import OnboardingWorkflowInput
from temporal_app.workflows import UserOnboardingWorkflow

pytestmark = pytest.mark.django_db(transaction=True)

Run = Callable[..., Any]


@pytest.fixture
def run(
    environment: WorkflowEnvironment, loop: asyncio.AbstractEventLoop
) -> Run:
    """Return a function that executes a workflow; its handle and result."""

    async def execute(name: str, given: object) -> tuple[Any, Any]:
        async with working(environment.client, QUEUE):
            handle: WorkflowHandle[Any, Any]
            handle = await environment.client.start_workflow(
                name, given, id=f"test-{uuid.uuid4()}", task_queue=QUEUE
            )
            return handle, await handle.result()

    return lambda *given: loop.run_until_complete(execute(*given))


def test_a_user_is_onboarded_within_a_day(
    run: Run, loop: asyncio.AbstractEventLoop
) -> None:
    user = get_user_model().objects.create(username="ada", is_active=False)

    handle, result = run(
        "user_onboarding",
        OnboardingWorkflowInput(user.pk, "ada@example.com", "Ada"),
    )

    assert result == {"status": "completed", "user_id": user.pk}
    user.refresh_from_db()
    assert user.is_active
    assert [one.subject for one in mail.outbox] == [
        "Welcome, Ada",
        "How is it going, Ada?",
    ]
    history = wait(loop, handle.fetch_history())
    assert timers(history) == [timedelta(hours=24)]
    replayer = Replayer(workflows=[UserOnboardingWorkflow])
    wait(loop, replayer.replay_workflow(history))


def test_an_unknown_user_is_not_welcomed(run: Run) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        run(
            "user_onboarding",
            OnboardingWorkflowInput(4711, "ada@example.com", "Ada"),
        )

    cause: Any = caught.value.cause
    assert cause.cause.message == "No user has the id 4711."
    assert mail.outbox == []


def test_a_batch_is_processed_in_small_histories(
    run: Run,
    loop: asyncio.AbstractEventLoop,
    environment: WorkflowEnvironment,
) -> None:
    users = get_user_model().objects
    users.bulk_create(
        users.model(username=f"user-{number}", is_active=False)
        for number in range(PER_EXECUTION)
    )
    user_ids = list(users.values_list("pk", flat=True))

    handle, result = run(
        "batch_processing",
        BatchProcessingWorkflowInput("b", [0, *user_ids]),
    )

    assert result == {
        "status": "completed",
        "batch_id": "b",
        "processed": PER_EXECUTION,
        "failed": [0],
    }
    assert users.filter(is_active=True).count() == PER_EXECUTION
    first = environment.client.get_workflow_handle(
        handle.id, run_id=handle.first_execution_run_id
    )
    history = wait(loop, first.fetch_history())
    kinds = [event.WhichOneof("attributes") for event in history.events]
    assert kinds[-1].startswith("workflow_execution_continued_as_new")
    assert len(kinds) < 4 * PER_EXECUTION
    assert most_at_once(kinds) == PARALLEL


def test_a_batch_that_is_too_large_is_refused(run: Run) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        run(
            "batch_processing",
            BatchProcessingWorkflowInput("b", [1] * (LARGEST + 1)),
        )

    cause: Any = caught.value.cause
    assert cause.message == (
        "The batch has 100,001 users: split it into batches of at most "
        "100,000."
    )


def most_at_once(kinds: list[str]) -> int:
    """Return how many activities were open at the same time."""
    opened = most = 0
    for kind in kinds:
        opened += kind.startswith("activity_task_scheduled")
        opened -= kind.startswith(
            ("activity_task_completed", "activity_task_failed")
        )
        most = max(most, opened)
    return most


def timers(history: Any) -> list[timedelta]:
    return [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        for event in history.events
        if event.HasField("timer_started_event_attributes")
    ]


def wait(loop: asyncio.AbstractEventLoop, answer: Awaitable[Any]) -> Any:
    async def waiting() -> Any:
        return await answer

    return loop.run_until_complete(waiting())
