"""The base class of transports, and the addresses they send to."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod

from django.core.checks import CheckMessage

from django_hookflow.addresses import public_url
from django_hookflow.delivery import Delivery


class Transport(ABC):
    """Sends deliveries, and knows nothing of runs.

    How they come back is its own matter; transports whose messages come by
    HTTP derive from SignedTransport. Tests to inherit are in
    django_hookflow.testing.transports.
    """

    @abstractmethod
    def send(self, delivery: Delivery) -> None:
        """Send a message without delay; TransportError if it may be lost."""

    def trouble(self) -> str:
        """Return why messages cannot be sent now, and what to do; or "".

        It may use the network. The text may be public: no secrets in it.
        """
        return ""

    def check(self) -> list[CheckMessage]:
        """Return the problems of its settings."""
        return []


def webhook_url(workflow_id: str) -> str:
    """Return the public address for messages to runs of a workflow.

    It is made from settings alone: a request's Host is not trusted.
    """
    return public_url("django_hookflow:workflow_webhook", workflow_id)


def task_url(task: str) -> str:
    """Return the public address that starts a task of maintenance."""
    return public_url("django_hookflow:maintenance_webhook", task)
