"""The waist of the engine: a delivery goes out, a delivery comes in."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod

from django.core.checks import CheckMessage
from django.http import HttpRequest

from django_hookflow.addresses import public_url
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import InvalidDelivery


class Transport(ABC):
    """Carries deliveries. It knows nothing of runs."""

    @abstractmethod
    def send(self, delivery: Delivery) -> None:
        """Hand over a message, soon; TransportError if that is not sure."""

    @abstractmethod
    def receive(self, request: HttpRequest, workflow_id: str) -> Delivery:
        """The delivery in a request; InvalidDelivery if it is not genuine."""

    def receive_task(self, request: HttpRequest, task: str) -> bytes:
        """What a request for a task of maintenance brings with it.

        InvalidDelivery if it is not genuine, or nothing sends such requests.
        """
        raise InvalidDelivery(
            f"{type(self).__name__} has no schedules", kind="unsigned"
        )

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
