"""Temporal workflows of this site.

Temporal replays them, so they must be deterministic: what reads a clock, a
network, a database or random numbers belongs into activities.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import is_cancelled_exception

# Not once more in the sandbox of each execution.
with workflow.unsafe.imports_passed_through():
    from temporal_app.activities import EmailPayload
    from temporal_app.activities import UserProcessingPayload
    from temporal_app.activities import process_user_activity
    from temporal_app.activities import send_email_activity

FOLLOW_UP_AFTER = timedelta(hours=24)

# How long one attempt may take, and how attempts follow each other.
ATTEMPT = timedelta(seconds=30)
RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(minutes=10),
    # An address or a subject that can never be sent.
    non_retryable_error_types=["BadHeaderError", "ValueError"],
)

# Of a batch: activities at the same time, and users of one execution. Each
# activity is three events of the history, and ten thousand are too many.
PARALLEL = 20
PER_EXECUTION = 500
LARGEST = 100_000


@dataclass(frozen=True)
class OnboardingWorkflowInput:
    user_id: int
    email: str
    name: str


@dataclass(frozen=True)
class BatchProcessingWorkflowInput:
    batch_id: str
    user_ids: list[int]
    action: str = "activate"
    # From earlier executions of the same batch.
    processed: int = 0
    failed: list[int] = field(default_factory=list)


@workflow.defn(name="user_onboarding")
class UserOnboardingWorkflow:
    """Processes a user, welcomes them, and writes again after a day."""

    @workflow.run
    async def run(
        self,
        input: OnboardingWorkflowInput,  # noqa: A002  # as promised
    ) -> dict[str, str | int]:
        """Return {"status": "completed", "user_id": …}."""
        await process(input.user_id, "activate")
        await send(
            EmailPayload(
                to=input.email,
                subject=f"Welcome, {input.name}",
                body=f"Hello {input.name},\n\nyour account is ready.\n",
            )
        )
        await workflow.sleep(FOLLOW_UP_AFTER)
        await send(
            EmailPayload(
                to=input.email,
                subject=f"How is it going, {input.name}?",
                body=f"Hello {input.name},\n\ncan we help you with anything?"
                "\n",
            )
        )
        return {"status": "completed", "user_id": input.user_id}


@workflow.defn(name="batch_processing")
class BatchProcessingWorkflow:
    """Processes users in parallel, a part of them in each execution."""

    @workflow.run
    async def run(
        self,
        input: BatchProcessingWorkflowInput,  # noqa: A002  # as promised
    ) -> dict[str, str | int | list[int]]:
        """Return {"status": "completed", "batch_id": …, "processed": …, …}.

        "processed" is a number, "failed" the ids of the users that could not
        be processed. Raises ApplicationError for more than 100,000 users.
        """
        if len(input.user_ids) > LARGEST:
            raise ApplicationError(
                f"The batch has {len(input.user_ids):,} users: split it into "
                f"batches of at most {LARGEST:,}.",
                type="BatchTooLarge",
                non_retryable=True,
            )
        now = input.user_ids[:PER_EXECUTION]
        slots = asyncio.Semaphore(PARALLEL)
        done = await asyncio.gather(
            *(succeeds(user_id, input.action, slots) for user_id in now)
        )
        failed = [
            one for one, is_done in zip(now, done, strict=True) if not is_done
        ]
        after = replace(
            input,
            user_ids=input.user_ids[PER_EXECUTION:],
            processed=input.processed + sum(done),
            failed=[*input.failed, *failed],
        )
        if after.user_ids:
            workflow.continue_as_new(after)
        return {
            "status": "completed",
            "batch_id": after.batch_id,
            "processed": after.processed,
            "failed": after.failed,
        }


async def succeeds(
    user_id: int, action: str, slots: asyncio.Semaphore
) -> bool:
    """Process a user when there is a slot; return False if it failed."""
    async with slots:
        try:
            await process(user_id, action)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return False
    return True


async def process(user_id: int, action: str) -> None:
    await workflow.execute_activity(
        process_user_activity,
        UserProcessingPayload(user_id=user_id, action=action),
        start_to_close_timeout=ATTEMPT,
        retry_policy=RETRY,
    )


async def send(payload: EmailPayload) -> None:
    await workflow.execute_activity(
        send_email_activity,
        payload,
        start_to_close_timeout=ATTEMPT,
        retry_policy=RETRY,
    )
