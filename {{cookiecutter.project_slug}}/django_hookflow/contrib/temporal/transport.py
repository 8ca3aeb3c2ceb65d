"""The transport that uses Temporal: an execution for each run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.core.checks import CheckMessage
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from django_hookflow.conf import conf as engine_conf
from django_hookflow.contrib.temporal import checks
from django_hookflow.contrib.temporal.client import call
from django_hookflow.contrib.temporal.conf import conf
from django_hookflow.contrib.temporal.messages import WAKE
from django_hookflow.contrib.temporal.messages import WORKFLOW
from django_hookflow.contrib.temporal.messages import Wake
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import TransportError
from django_hookflow.transports.base import Transport

logger = logging.getLogger("django_hookflow.transport")

_advanced: ContextVar[str] = ContextVar("hookflow_advanced", default="")


class TemporalTransport(Transport):
    """Signals the execution of a run, which it starts if there is none."""

    def send(self, delivery: Delivery) -> None:
        if delivery.run_id == _advanced.get():
            return  # the activity under way returns the live token
        wake = wake_of(delivery)

        async def signal(client: Client) -> None:
            await client.start_workflow(
                WORKFLOW,
                id=wake.run_id,
                task_queue=conf.TEMPORAL_TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=WAKE,
                start_signal_args=[wake],
                memo={"workflow_id": wake.workflow_id},
            )

        try:
            call(signal, engine_conf.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT)
        # Temporal's library raises errors of its own for calls, RuntimeError
        # for connections and ValueError for addresses. Here all are one.
        except Exception as error:
            raise TransportError(
                f"Temporal did not accept the message: {explained(error)}"
            ) from None

    def trouble(self) -> str:
        """Ask Temporal for the namespace."""
        name = conf.TEMPORAL_NAMESPACE

        async def describe(client: Client) -> None:
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=name)
            )

        try:
            call(describe, engine_conf.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT)
        except Exception as error:
            logger.warning("Temporal cannot be used: %s", explained(error))
            return (
                f"Temporal cannot be used ({type(error).__name__}). Compare "
                "TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE with those of the "
                "cluster, and see whether it is up."
            )
        return ""

    def check(self) -> list[CheckMessage]:
        return checks.problems()


def wake_of(delivery: Delivery) -> Wake:
    """Return the signal for a delivery."""
    # Not our time for "at once": Temporal's clock may be behind ours.
    due = delivery.not_before
    return Wake(
        run_id=delivery.run_id,
        workflow_id=delivery.workflow_id,
        token=delivery.token,
        due="" if due is None else due.isoformat(),
        repeat=delivery.repeat,
        patience=max(engine_conf.DJANGO_HOOKFLOW_LEASE, 1),
    )


@contextmanager
def advancing(run_id: str) -> Iterator[None]:
    """Send no signal to the execution of this run, whose activity this is."""
    before = _advanced.set(run_id)
    try:
        yield
    finally:
        _advanced.reset(before)


def explained(error: Exception) -> str:
    """Return the text of an error without the key of its request."""
    text = f"{error}" or type(error).__name__
    key = conf.TEMPORAL_API_KEY
    return text.replace(key, "…") if key else text
