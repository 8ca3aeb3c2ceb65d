"""The payment provider, through its API, its command and its thread."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.admin.utils import quote
from django.core.management import CommandError
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from orders.cards import TEST_CARDS
from payments_sandbox import urls
from payments_sandbox.cards import CARDS
from payments_sandbox.models import Charge
from payments_sandbox.notifications import MAX_NOTIFICATIONS
from payments_sandbox.notifications import claim
from payments_sandbox.notifications import send_due
from payments_sandbox.notifier import Notifier

pytestmark = pytest.mark.django_db

HEADERS = {"Authorization": "Bearer key-of-the-Tests-4Zx9-7Kq2"}


class Shop(ThreadingHTTPServer):
    """A caller's site: answers with `statuses`, keeps what it received."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.received: list[tuple[str, bytes]] = []
        self.got_one = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/paid/"


class Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(
            (self.headers["X-Payments-Signature"], body)
        )
        statuses = self.server.statuses
        self.send_response(statuses.pop(0) if statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.got_one.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def at_once(settings: Any) -> None:
    settings.PAYMENTS_SANDBOX_SECONDS = 0


def charge(client: Client, key: str = "key-1", **changes: str) -> Any:
    body = {
        "amount": "12.50",
        "currency": "EUR",
        "reference": "order-1",
        "card_token": "tok_settles",
        "webhook_url": "http://127.0.0.1:1/",
        **changes,
    }
    return client.post(
        "/sandbox/charges/",
        body,
        content_type="application/json",
        headers=HEADERS | {"Idempotency-Key": key},
    )


def test_charge_is_accepted_and_processing(client: Client) -> None:
    answer = charge(client)

    row = Charge.objects.get()
    assert answer.status_code == 202
    assert answer.json() == {
        "id": row.pk,
        "status": "processing",
        "amount": "12.50",
        "currency": "EUR",
        "reference": "order-1",
        "created_at": row.created_at.isoformat(),
    }


def test_charge_can_be_looked_up(client: Client) -> None:
    created = charge(client).json()

    found = client.get(f"/sandbox/charges/{created['id']}/", headers=HEADERS)

    assert found.json() == created


def test_same_idempotency_key_gives_the_same_charge(client: Client) -> None:
    first = charge(client)
    second = charge(client)

    assert second.status_code == 202
    assert second.json() == first.json()
    assert Charge.objects.count() == 1


def test_key_is_refused_for_another_charge(client: Client) -> None:
    charge(client)

    answer = charge(client, amount="99.00")

    assert answer.status_code == 409
    assert Charge.objects.count() == 1


def test_endless_key_is_refused(client: Client) -> None:
    answer = charge(client, key="k" * 256)

    assert answer.status_code == 400
    assert not Charge.objects.exists()


def test_charges_without_key_are_different(client: Client) -> None:
    charge(client, key="")
    charge(client, key="")

    assert Charge.objects.count() == 2


@pytest.mark.parametrize("key", ["", "wrong", "kéy-of-the-tests"])
def test_wrong_api_key_is_refused(client: Client, key: str) -> None:
    answer = client.post(
        "/sandbox/charges/", headers={"Authorization": f"Bearer {key}"}
    )

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_without_configured_key_nobody_may_charge(
    client: Client, settings: Any
) -> None:
    settings.PAYMENTS_API_KEY = ""

    answer = client.post(
        "/sandbox/charges/", headers={"Authorization": "Bearer "}
    )

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "0"),
        ("amount", "1.234"),
        ("amount", "NaN"),
        ("currency", "euro"),
        ("card_token", "tok_of_nobody"),
        ("webhook_url", "ftp://shop.example"),
        ("reference", ""),
    ],
)
def test_malformed_charge_is_refused(
    client: Client, field: str, value: str
) -> None:
    answer = charge(client, **{field: value})

    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert not Charge.objects.exists()


def test_busy_card_is_refused_twice_then_accepted(client: Client) -> None:
    answers = [charge(client, card_token="tok_unavailable") for _ in "123"]

    assert [answer.status_code for answer in answers] == [503, 503, 202]
    assert Charge.objects.get().notify_at is not None


@pytest.mark.parametrize(
    ("token", "outcome"),
    [("tok_settles", "succeeded"), ("tok_declines", "declined")],
)
def test_caller_is_told_with_a_signature(
    client: Client, shop: Shop, capsys: Any, token: str, outcome: str
) -> None:
    created = charge(client, card_token=token, webhook_url=shop.url).json()

    call_command("settle_payments")

    [(signature, body)] = shop.received
    assert json.loads(body) == {
        "id": f"evt_{created['id']}",
        "type": "charge.settled",
        "charge": created | {"status": outcome},
    }
    stamp, digest = signature.removeprefix("t=").split(",v1=")
    signed = stamp.encode() + b"." + body
    assert (
        digest
        == hmac.digest(b"webhook-of-the-Tests-7Kq2", signed, "sha256").hex()
    )
    assert capsys.readouterr().out == "Notified of 1 charges.\n"


def test_caller_is_told_once(client: Client, shop: Shop) -> None:
    charge(client, webhook_url=shop.url)

    send_due()
    send_due(timezone.now() + timedelta(days=1))
    charge(client, webhook_url=shop.url)
    send_due(timezone.now() + timedelta(days=1))

    assert len(shop.received) == 1


def test_of_two_notifiers_one_tells(client: Client, shop: Shop) -> None:
    charge(client, webhook_url=shop.url)
    seen_by_the_other = Charge.objects.get()

    send_due()

    assert not claim(seen_by_the_other, timezone.now())


def test_slow_card_takes_its_time(
    client: Client, shop: Shop, settings: Any
) -> None:
    settings.PAYMENTS_SANDBOX_SLOW_SECONDS = 3600
    charge(client, card_token="tok_slow", webhook_url=shop.url)

    early = send_due()
    late = send_due(timezone.now() + timedelta(hours=1))

    assert (early.delivered, late.delivered) == (0, 1)


def test_silent_card_is_never_heard_of_again(
    client: Client, shop: Shop
) -> None:
    charge(client, card_token="tok_silent", webhook_url=shop.url)

    send_due(timezone.now() + timedelta(days=365))

    assert shop.received == []
    assert Charge.objects.get().status == "processing"


def test_unreachable_caller_is_told_later(client: Client, shop: Shop) -> None:
    shop.statuses = [500]
    charge(client, webhook_url=shop.url)

    with pytest.raises(CommandError, match="1 notifications were not taken"):
        call_command("settle_payments")
    send_due(timezone.now() + timedelta(seconds=2))

    first, second = shop.received
    assert json.loads(first[1]) == json.loads(second[1])
    assert Charge.objects.get().notified_at is not None


def test_caller_that_is_gone_is_given_up(client: Client) -> None:
    charge(client, webhook_url="http://127.0.0.1:1/")
    now = timezone.now()

    reports = [
        send_due(now + timedelta(hours=hour))
        for hour in range(MAX_NOTIFICATIONS + 5)
    ]

    assert sum(report.failed for report in reports) == MAX_NOTIFICATIONS
    assert Charge.objects.get().notify_at is None


@pytest.mark.django_db(transaction=True)
def test_thread_tells_what_an_earlier_process_left(
    client: Client, shop: Shop
) -> None:
    charge(client, webhook_url=shop.url)
    notifier = Notifier()

    notifier.start()
    notifier.start()
    told = shop.got_one.wait(120)
    notifier.stop()

    assert told
    assert Charge.objects.get().notified_at is not None


@pytest.mark.django_db(transaction=True)
def test_thread_wakes_up_for_a_new_charge(client: Client, shop: Shop) -> None:
    notifier = Notifier()
    notifier.start()

    charge(client, webhook_url=shop.url)
    notifier.wake()
    told = shop.got_one.wait(120)
    notifier.stop()

    assert told


def test_charge_can_be_cancelled_while_processing(
    client: Client, shop: Shop
) -> None:
    created = charge(client, webhook_url=shop.url).json()
    url = f"/sandbox/charges/{created['id']}/cancel/"

    answers = [client.post(url, headers=HEADERS) for _ in "12"]
    charge(client, webhook_url=shop.url)
    send_due()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].json() == created | {"status": "cancelled"}
    assert shop.received == []


def test_settled_charge_cannot_be_cancelled(
    client: Client, shop: Shop
) -> None:
    created = charge(client, webhook_url=shop.url).json()
    send_due()

    answer = client.post(
        f"/sandbox/charges/{created['id']}/cancel/", headers=HEADERS
    )

    assert answer.status_code == 409
    assert answer.json()["status"] == "succeeded"


def test_settled_charge_can_be_refunded(client: Client, shop: Shop) -> None:
    created = charge(client, webhook_url=shop.url).json()
    url = f"/sandbox/charges/{created['id']}/refund/"

    early = client.post(url, headers=HEADERS)
    send_due()
    answers = [client.post(url, headers=HEADERS) for _ in "12"]

    assert early.status_code == 409
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].json() == created | {"status": "refunded"}


def test_unknown_charge_is_not_found(client: Client) -> None:
    answer = client.post("/sandbox/charges/ch_0/cancel/", headers=HEADERS)

    assert answer.status_code == 404


def test_start_page_documents_the_cards(client: Client) -> None:
    page = client.get("/sandbox/").content.decode()

    assert "4000 0000 0000 9995" in page
    assert "tok_unavailable" in page


def test_shop_and_sandbox_know_the_same_cards() -> None:
    ours = [(card.number, card.token) for card in TEST_CARDS]
    theirs = [(card.number.replace(" ", ""), card.token) for card in CARDS]

    assert ours == theirs


def test_charges_are_in_the_admin(
    client: Client, admin_client: Client
) -> None:
    created = charge(client).json()
    admin = "/admin/payments_sandbox/charge/"

    pages = [
        admin_client.get(admin),
        admin_client.get(f"{admin}{quote(created['id'])}/change/"),
    ]

    assert [page.status_code for page in pages] == [200, 200]


def test_the_key_of_a_real_provider_opens_nothing_here(
    settings: LazySettings,
) -> None:
    settings.PAYMENTS_URL = "https://api.provider.example/v1"

    assert urls.patterns() == []
