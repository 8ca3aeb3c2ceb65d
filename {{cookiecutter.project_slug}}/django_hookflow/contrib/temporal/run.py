"""The Temporal workflow that carries one run.

It knows times and tokens; the database knows the run. Temporal replays this
code against histories that older versions of it wrote: change what it does
by `workflow.patched` only.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from django_hookflow.contrib.temporal.messages import ADVANCE
from django_hookflow.contrib.temporal.messages import REQUEST_CANCEL
from django_hookflow.contrib.temporal.messages import WAKE
from django_hookflow.contrib.temporal.messages import WORKFLOW
from django_hookflow.contrib.temporal.messages import Standing
from django_hookflow.contrib.temporal.messages import Wake

# Of faults of the infrastructure, such as a database that is away. The
# engine does the retries of steps.
RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=60),
)
# A step may take days; its worker sends heartbeats meanwhile.
LONGEST = timedelta(days=365)
SOON = timedelta(seconds=30)


@workflow.defn(name=WORKFLOW)
class HookflowRun:
    """Advances a run at each signal, and when its next time has come."""

    def __init__(self) -> None:
        self.next: Wake | None = None

    @workflow.signal(name=WAKE)
    def wake(self, message: Wake) -> None:
        """Take a delivery; of several, only the newest token counts."""
        self.next = message.merged(self.next)

    @workflow.run
    async def run(self, pending: Wake | None = None) -> str:
        """Carry the run to its end; return its status.

        Raises ApplicationError when the run has failed, so that Temporal
        shows the execution as failed, too.
        """
        if self.next is None:
            self.next = pending
        elif pending is not None:
            self.next = self.next.merged(pending)
        status = await self.cancellable(asyncio.create_task(self.carry()))
        if status is None:
            workflow.continue_as_new(self.next)
        if status == "failed":
            raise ApplicationError(
                "The run has failed: see its dead letter in the admin.",
                type="RunFailed",
                non_retryable=True,
            )
        return status

    async def cancellable(self, work: asyncio.Task[str | None]) -> str | None:
        """Wait for `work`; turn Temporal's cancel into that of the engine.

        The run then undoes its steps, so the work goes on.
        """
        while True:
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                if work.cancelled():
                    raise
                await workflow.execute_activity(
                    REQUEST_CANCEL,
                    workflow.info().workflow_id,
                    start_to_close_timeout=SOON,
                    retry_policy=RETRY,
                )
            else:
                return work.result()

    async def carry(self) -> str | None:
        """Return the status of the run, or None to continue as new."""
        while not workflow.info().is_continue_as_new_suggested():
            wake = await self.due()
            standing: Standing = await workflow.execute_activity(
                ADVANCE,
                wake,
                result_type=Standing,
                start_to_close_timeout=LONGEST,
                heartbeat_timeout=timedelta(seconds=wake.patience),
                retry_policy=RETRY,
            )
            if standing.is_finished and self.next is None:
                return standing.status
            if self.next is None:
                self.next = standing.wake
            elif standing.wake is not None:
                self.next = self.next.merged(standing.wake)
        return None

    async def due(self) -> Wake:
        """Wait until a delivery is due, and take it."""
        while True:
            await workflow.wait_condition(lambda: self.next is not None)
            wake = self.next
            assert wake is not None
            delay = wake.due_at - workflow.now()
            if delay > timedelta(0) and await self.changed(wake, delay):
                continue
            self.next = None
            return wake

    async def changed(self, wake: Wake, delay: timedelta) -> bool:
        """Wait for so long; return True if a signal came meanwhile."""
        try:
            await workflow.wait_condition(
                lambda: self.next is not wake,
                timeout=delay,
                timeout_summary="until the run is due",
            )
        except TimeoutError:
            return False
        return True
