"""Messages that the webhook refuses, and the log line with the reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpResponse
from django.test import Client

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.delivery import Delivery
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.signature import sign

pytestmark = pytest.mark.django_db

Log = pytest.LogCaptureFixture


@workflow(workflow_id="refusals")
def refusals(ctx: WorkflowContext) -> None: ...


@pytest.fixture
def delivery(world: World) -> Delivery:
    refusals.trigger(data={}, run_id="r1")
    token = WorkflowRun.objects.get().wake_token
    return Delivery(run_id="r1", workflow_id="refusals", token=token)


def post(body: bytes, signature: str = "") -> HttpResponse:
    headers = {"Upstash-Signature": signature} if signature else {}
    return Client().post(
        webhook_url("refusals").removeprefix("http://testserver"),
        body,
        content_type="application/json",
        headers=headers,
    )


def signed(body: bytes) -> str:
    return sign(body, webhook_url("refusals"))


def logged(log: Log) -> list[str]:
    return [
        record.getMessage()
        for record in log.records
        if record.name == "django_hookflow.webhook"
    ]


def test_an_unsigned_message(delivery: Delivery, caplog: Log) -> None:
    response = post(delivery.encode())

    assert response.status_code == 401
    assert logged(caplog) == [
        "A message for refusals is refused: The header Upstash-Signature is "
        "missing (unsigned)"
    ]


def test_an_unsigned_message_is_not_read(caplog: Log) -> None:
    class Unread:
        def read(self, *_: Any) -> bytes:
            raise AssertionError("The body is read.")

        readline = read

    response = Client().post(
        webhook_url("refusals").removeprefix("http://testserver"),
        b"{}",
        content_type="application/json",
        **{"wsgi.input": Unread()},  # type: ignore[arg-type]
    )

    assert response.status_code == 401


def test_a_message_with_another_body(delivery: Delivery, caplog: Log) -> None:
    response = post(delivery.encode() + b" ", signed(delivery.encode()))

    assert response.status_code == 401
    assert logged(caplog) == [
        "A message for refusals is refused: The body is not the "
        "one that was signed (forged)"
    ]


def test_an_expired_message(
    delivery: Delivery, world: World, caplog: Log
) -> None:
    signature = signed(delivery.encode())
    world.now += timedelta(minutes=6)

    response = post(delivery.encode(), signature)

    assert response.status_code == 401
    assert logged(caplog) == [
        "A message for refusals is refused: The signature expired 60 seconds "
        "ago (expired)"
    ]


def test_a_replayed_message_moves_nothing(
    delivery: Delivery, caplog: Log
) -> None:
    caplog.set_level("INFO")
    signature = signed(delivery.encode())
    post(delivery.encode(), signature)

    response = post(delivery.encode(), signature)

    assert response.json() == {"status": "stale", "run_id": "r1"}
    assert logged(caplog) == [
        "A message for r1 is stale: repeated, replayed or late, since another "
        "has moved the run"
    ]


def test_an_oversized_message(
    delivery: Delivery, caplog: Log, settings: LazySettings
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_BODY = 1000
    body = b"x" * 1001

    response = post(body, signed(body))

    assert response.status_code == 413
    assert logged(caplog) == [
        "A message for refusals is refused: The body has 1,001 bytes, and "
        "DJANGO_HOOKFLOW_MAX_BODY allows 1,000 (oversized)"
    ]


def test_a_message_larger_than_a_form_may_be_is_read(
    delivery: Delivery, settings: LazySettings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10

    response = post(delivery.encode(), signed(delivery.encode()))

    assert response.json() == {"status": "completed", "run_id": "r1"}
