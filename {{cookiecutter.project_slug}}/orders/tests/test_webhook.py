"""The provider's notifications: believed only when they are the provider's."""

from __future__ import annotations

import hmac
import json
import time
import uuid
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from orders.models import Order
from orders.models import Product
from orders.tests.conftest import World

pytestmark = pytest.mark.django_db

SECRET = "webhook-of-the-Tests-7Kq2"


@pytest.fixture
def order(place: Any, mug: Product) -> Order:
    place()
    return Order.objects.get()


def body_for(order_id: object, **changes: Any) -> bytes:
    charge = {
        "id": "ch_1",
        "reference": str(order_id),
        "amount": "29.00",
        "currency": "EUR",
        "status": "succeeded",
        **changes,
    }
    event = {"id": "evt_1", "type": "charge.settled", "charge": charge}
    return json.dumps(event).encode()


def signature(body: bytes, secret: str = SECRET, stamp: object = None) -> str:
    stamp = int(time.time()) if stamp is None else stamp
    signed = f"{stamp}.".encode() + body
    digest = hmac.digest(secret.encode(), signed, "sha256").hex()
    return f"t={stamp},v1={digest}"


def notify(
    client: Client, body: bytes, signed: str | None = None
) -> HttpResponse:
    signed = signature(body) if signed is None else signed
    return client.post(
        "/payments/webhook/",
        body,
        content_type="application/json",
        headers={"X-Payments-Signature": signed},
    )


def test_notification_becomes_an_event_for_its_order(
    client: Client, order: Order
) -> None:
    answer = notify(client, body_for(order.pk))

    event = Event.objects.get()
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "accepted"},
    )
    assert (event.name, event.match, event.event_id) == (
        "payment.settled",
        str(order.pk),
        "evt_1",
    )
    assert event.data == {
        "charge_id": "ch_1",
        "status": "succeeded",
        "amount": "29.00",
        "currency": "EUR",
    }


def test_repeated_notification_is_one_event(
    client: Client, order: Order
) -> None:
    answers = [notify(client, body_for(order.pk)) for _ in "12"]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert Event.objects.count() == 1


def forged(body: bytes) -> dict[str, str]:
    good = signature(body)
    stamp, digest = good.removeprefix("t=").split(",v1=")
    return {
        "none": "",
        "nonsense": "nonsense",
        "other secret": signature(body, secret="guessed"),
        "other body": signature(body + b" "),
        "no digest": f"t={stamp},v1=",
        "no time": f"t=,v1={digest}",
        "other time": f"t={int(stamp) + 1},v1={digest}",
        "shortened": good[:-1],
        "capitals": good.upper(),
        "not ascii": f"t={stamp},v1=é",
        "too old": signature(body, stamp=int(time.time()) - 400),
        "from the future": signature(body, stamp=int(time.time()) + 400),
        "empty secret": signature(body, secret=""),
    }


@pytest.mark.parametrize("attack", list(forged(b"")))
def test_notification_of_somebody_else_is_refused(
    client: Client, order: Order, attack: str
) -> None:
    body = body_for(order.pk)

    answer = notify(client, body, forged(body)[attack])

    assert answer.status_code == 401
    assert not Event.objects.exists()


def test_without_a_secret_nobody_is_believed(
    client: Client, order: Order, settings: Any
) -> None:
    settings.PAYMENTS_WEBHOOK_SECRET = ""
    body = body_for(order.pk)

    answer = notify(client, body, signature(body, secret=""))

    assert answer.status_code == 401
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"id": "evt_1", "charge": null}',
        b'{"id": 1, "charge": {"id": "c", "reference": "r", "status": "s",'
        b' "amount": "1"}}',
        body_for("r", amount="much"),
        body_for("r", amount=29.0),
        body_for("r", amount="NaN"),
        body_for("r", currency=None),
        body_for("r", id="ch_\x00"),
        body_for("r", id="ch_1\nforged line"),
        body_for("r", id="\ud800"),
        body_for("r").replace(b"evt_1", rb"evt_\u0000"),
        b"[" * 100_000,
        body_for("r", status=None),
        body_for(""),
    ],
)
def test_malformed_notification_is_refused(
    client: Client, body: bytes
) -> None:
    answer = notify(client, body)

    assert answer.status_code == 400
    assert not Event.objects.exists()


@pytest.mark.parametrize("reference", [uuid.uuid4(), "invoice-7", "\x00"])
def test_notification_for_others_is_ignored(
    client: Client, reference: object
) -> None:
    answer = notify(client, body_for(reference))

    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    assert not Event.objects.exists()


def test_charge_under_way_is_no_news(client: Client, order: Order) -> None:
    answer = notify(client, body_for(order.pk, status="processing"))

    assert answer.json() == {"status": "ignored"}
    assert not Event.objects.exists()


def test_money_for_a_closed_order_is_reported(
    client: Client, order: Order, caplog: Any
) -> None:
    Order.objects.update(status="expired")

    answer = notify(client, body_for(order.pk))

    assert answer.json() == {"status": "ignored"}
    assert caplog.messages == [
        f"Order {order.pk} is expired, but charge ch_1 of 29.00 was paid. "
        "Refund it."
    ]


@pytest.mark.parametrize("status", ["paid", "fulfilled"])
def test_late_repetition_is_no_news(
    client: Client, order: Order, caplog: Any, status: str
) -> None:
    Order.objects.update(status=status)

    answer = notify(client, body_for(order.pk))

    assert answer.json() == {"status": "ignored"}
    assert caplog.messages == []


def test_an_event_id_that_comes_for_two_orders_is_not_sent_for_ever(
    client: Client, place: Any, order: Order, caplog: Any
) -> None:
    place()
    other = Order.objects.exclude(pk=order.pk).get()

    answers = [notify(client, body_for(one.pk)) for one in (order, other)]

    assert [answer.json()["status"] for answer in answers] == [
        "accepted",
        "ignored",
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "A notification was not used" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_another_charge_does_not_settle_an_order(
    client: Client, world: World, order: Order, caplog: Any
) -> None:
    world.run_until_quiet()
    waiting = Order.objects.get()
    world_charge = waiting.payment.provider_id

    answer = notify(client, body_for(order.pk, id="ch_other"))

    assert world_charge != ""
    assert answer.json() == {"status": "ignored"}
    assert not Event.objects.exists()
    assert f"has charge {world_charge}, but charge ch_other" in caplog.text
    world.run_to_the_end()
    assert Order.objects.get().status == "fulfilled"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outcome", ["succeeded", "declined"])
def test_another_charge_that_is_notified_first_fails_the_run(
    client: Client, world: World, order: Order, outcome: str
) -> None:
    notify(client, body_for(order.pk, id="ch_other", status=outcome))

    world.run_to_the_end()

    run = WorkflowRun.objects.get()
    assert run.status == "failed"
    assert f"but charge ch_other in EUR is {outcome}" in run.error_message
    assert Order.objects.get().status == "reserved"


@pytest.mark.django_db(transaction=True)
def test_another_currency_does_not_settle_an_order(
    client: Client, world: World, order: Order
) -> None:
    world.run_until_quiet()
    ours = Order.objects.get().payment.provider_id

    notify(client, body_for(order.pk, id=ours, currency="JPY"))
    world.run_to_the_end()

    assert WorkflowRun.objects.get().status == "failed"
    assert Order.objects.get().status == "reserved"


def test_webhook_takes_posts_only(client: Client) -> None:
    assert client.get("/payments/webhook/").status_code == 405


def test_webhook_needs_no_csrf_token(order: Order) -> None:
    client = Client(enforce_csrf_checks=True)

    assert notify(client, body_for(order.pk)).status_code == 200
