"""The quick start of django-hookflow, and the functions older code imports."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import WorkflowError
from django_hookflow.testing.world import World
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.signature import sign
from django_hookflow.workflows.handlers import publish_next_step
from django_hookflow.workflows.handlers import verify_qstash_signature

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("workflows"),
]

PATH = "/hookflow/workflow/process_order/"


def validate_order(order_id: str) -> dict[str, Any]:
    return {"order_id": order_id, "total": 9999}


def fulfill_order(order_id: str, total: int) -> dict[str, Any]:
    return {"shipped": True}


def start() -> str:
    @workflow
    def process_order(ctx: WorkflowContext) -> dict[str, Any]:
        """Process an order with multiple durable steps."""
        order_id = ctx.data.get("order_id")
        validated = ctx.step.run("validate", validate_order, order_id)
        ctx.step.sleep("wait-for-payment", seconds=60)
        result = ctx.step.run(
            "fulfill", fulfill_order, order_id, validated["total"]
        )
        return {"status": "completed", "result": result}

    return process_order.trigger(data={"order_id": "12345"})


def test_the_quick_start_runs_to_its_end(every: World) -> None:
    run = every.finish(start())

    assert (run.status, run.result) == (
        "completed",
        {"status": "completed", "result": {"shipped": True}},
    )


def request_of(body: bytes, signature: str) -> HttpRequest:
    return RequestFactory().post(
        PATH,
        body,
        content_type="application/json",
        headers={"Upstash-Signature": signature},
    )


def test_a_view_of_yours_verifies_what_qstash_signed(world: World) -> None:
    genuine = sign(b"{}", webhook_url("process_order"))

    assert verify_qstash_signature(request_of(b"{}", genuine)) is True
    with pytest.raises(WorkflowError, match="signature verification failed"):
        verify_qstash_signature(request_of(b"[]", genuine))
    with pytest.raises(WorkflowError, match="Upstash-Signature is missing"):
        verify_qstash_signature(request_of(b"{}", ""))


def test_a_message_that_is_published_once_more_moves_its_run(
    world: World,
) -> None:
    run_id = start()
    memory_transport().take(memory_transport().waiting[0])

    publish_next_step("process_order", run_id, {}, {}, delay_seconds=5)
    world.pass_time("4s")
    before = world.run_of(run_id).status
    run = world.finish(run_id)

    assert (before, run.status) == ("pending", "completed")


def test_a_run_that_is_not_there_has_no_message(world: World) -> None:
    with pytest.raises(WorkflowError, match="No run 'r1' of 'x'"):
        publish_next_step("x", "r1", {}, {})
