"""The waist of the engine: a delivery goes out."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod

from django.core.checks import CheckMessage

from django_hookflow.addresses import public_url
from django_hookflow.delivery import Delivery


class Transport(ABC):
    """Sends deliveries. It knows nothing of runs.

    How they come back is its own affair; those that come by HTTP derive from
    SignedTransport.
    """

    @abstractmethod
    def send(self, delivery: Delivery) -> None:
        """Hand over a message, soon; TransportError if that is not sure."""

    def trouble(self) -> str:
        """Why no message would be taken now, and what to do; or nothing.

        It may ask over the network, and what it says may be shown to anybody.
        """
        return ""

    def check(self) -> list[CheckMessage]:
        """What is wrong with its settings."""
        return []


def webhook_url(workflow_id: str) -> str:
    """The public address that moves runs of a workflow.

    Made of settings alone: what a request says of itself is not trusted.
    """
    return public_url("django_hookflow:workflow_webhook", workflow_id)


def task_url(task: str) -> str:
    """The public address that has a task of maintenance done."""
    return public_url("django_hookflow:maintenance_webhook", task)
