"""Hand messages to the transport, and tell listeners what happened."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from django_hookflow import signals
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import TransportError
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence.database import using
from django_hookflow.transports import get_transport


def send(message: Delivery) -> None:
    """Send now, or leave it to the sweeper: it is due in the row.

    The row is committed, so an error here would mislead the caller, who
    would trigger the run again.
    """
    try:
        get_transport().send(message)
    except TransportError as error:
        announce(signals.send_failed, message, error=error)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        announce(signals.send_failed, message, error=TransportError(said))


def send_after_commit(messages: Iterable[Delivery]) -> None:
    # A fast server answers before a slow commit would end.
    for message in messages:
        transaction.on_commit(partial(send, message), using())


def announce(
    signal: Signal, about: WorkflowRun | Delivery, **facts: Any
) -> None:
    # A listener that fails must not fail the run; Django logs its error.
    signal.send_robust(
        WorkflowRun,
        workflow_id=about.workflow_id,
        run_id=about.run_id,
        **facts,
    )
