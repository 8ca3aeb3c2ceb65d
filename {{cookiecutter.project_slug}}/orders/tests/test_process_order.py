"""Orders from the API to their end, over the memory transport.

The provider is reached over real HTTP, and notifies over real HTTP; the
messages that move the runs are delivered once, and twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from orders.models import Order
from orders.models import Payment
from orders.models import Product
from orders.timeline import took
from orders.workflows import process_order
from payments_sandbox.models import Charge

pytestmark = pytest.mark.django_db(transaction=True)

DECLINES = "4000000000000002"
SLOW = "4000000000000259"
UNAVAILABLE = "4000000000009995"
SILENT = "4000000000000341"

PAID = [
    ("validate", "completed"),
    ("reserve-stock", "completed"),
    ("charge-card", "completed"),
    ("record-charge", "completed"),
    ("payment", "completed"),
    ("record-payment", "completed"),
    ("fulfil", "completed"),
    ("confirmation-mail", "completed"),
]
REMINDED = [
    *PAID[:4],
    ("payment", "failed"),
    ("payment-reminder", "completed"),
]
SHIPPED = "Your order is on its way to you"
REMINDER = "Your payment is on its way to us"


def ending() -> tuple[str, str, str, str, int]:
    """Return how the only order ended: statuses of all rows, and the stock."""
    order = Order.objects.select_related("payment").get()
    return (
        WorkflowRun.objects.get(run_id=order.run_id).status,
        order.status,
        order.payment.status,
        Charge.objects.get().status,
        Product.objects.get(sku="MUG").stock,
    )


def subjects() -> list[str]:
    return [letter.subject for letter in mail.outbox]


def test_order_is_paid_and_fulfilled(
    world: Any, place: Any, mug: Product
) -> None:
    placed = place().json()

    world.run_to_the_end()

    run = WorkflowRun.objects.get()
    assert ending() == ("completed", "fulfilled", "succeeded", "succeeded", 8)
    assert world.journal() == PAID
    assert run.result == {"order_id": placed["id"], "status": "fulfilled"}
    assert subjects() == [SHIPPED]
    assert Charge.objects.get().requests == 1


def test_declined_card_gives_the_goods_back(
    world: Any, place: Any, mug: Product
) -> None:
    place(card_number=DECLINES)

    world.run_to_the_end()

    assert ending() == ("completed", "declined", "declined", "declined", 10)
    assert world.journal() == [*PAID[:5], ("release-stock", "completed")]
    assert Order.objects.get().reason == "The card was declined."
    assert subjects() == []


def test_charge_the_provider_does_not_accept_cancels_the_order(
    world: Any, place: Any, mug: Product
) -> None:
    place(card_number=..., card_token="tok_of_nobody")

    world.run_to_the_end()

    order = Order.objects.get()
    assert (order.status, order.reason) == (
        "cancelled",
        "The payment provider did not accept the charge.",
    )
    assert Product.objects.get().stock == 10
    assert not Charge.objects.exists()


@pytest.fixture
def odd_provider(settings: Any) -> Iterator[list[tuple[int, bytes]]]:
    """Yield a provider that gives these answers, one after the other."""
    answers: list[tuple[int, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        # The routes of the site, read once, have the sandbox by its path.
        settings.PAYMENTS_URL = (
            f"http://127.0.0.1:{server.server_port}/sandbox"
        )
        yield answers
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (302, b"", "302 with 'None'"),
        (200, b"OK", "200 with 'OK'"),
        (201, b"{}", "201 with '{}'"),
    ],
)
def test_an_answer_without_a_charge_is_left_to_a_person(
    world: Any,
    odd_provider: list[tuple[int, bytes]],
    place: Any,
    mug: Product,
    status: int,
    body: bytes,
    said: str,
) -> None:
    odd_provider.append((status, body))
    order = place().json()["id"]

    world.run_to_the_end()

    run = WorkflowRun.objects.get()
    assert (run.status, run.error_type) == ("failed", "PermanentError")
    assert run.error_message == (
        f"The charge of order {order} may have been made or not: the provider"
        f" answered {said}. Settle it with the provider, then close the order"
        " by hand."
    )


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            409,
            b'{"status": "processing"}',
            "409 with \"{'status': 'processing'}\"",
        ),
        (200, b"OK", "200 with 'OK'"),
    ],
)
def test_a_charge_that_goes_on_after_its_cancellation_is_left_to_a_person(
    world: Any,
    odd_provider: list[tuple[int, bytes]],
    place: Any,
    mug: Product,
    status: int,
    body: bytes,
    said: str,
) -> None:
    odd_provider += [(201, b'{"id": "ch_1"}'), (status, body)]
    place()

    world.run_to_the_end()

    run = WorkflowRun.objects.get()
    assert (run.status, run.error_type) == ("failed", "PermanentError")
    assert run.error_message == (
        f"Charge ch_1 could not be cancelled: the provider answered {said}. "
        "Settle it with the provider, then close the order by hand."
    )


def test_charge_that_cannot_be_cancelled_is_left_to_a_person(
    world: Any, place: Any, mug: Product
) -> None:
    place(card_number=SILENT)
    world.run_until_quiet()
    Charge.objects.all().delete()

    world.run_to_the_end()

    run = WorkflowRun.objects.get()
    assert run.status == "failed"
    assert "could not be cancelled: the provider answered 404" in (
        run.error_message
    )
    assert Order.objects.get().status == "reserved"
    assert Product.objects.get().stock == 8


def test_slow_payment_needs_no_reminder_in_time(
    world: Any, place: Any, mug: Product
) -> None:
    place(card_number=SLOW)

    world.pass_time(1000)
    waiting = Order.objects.get().status
    world.run_to_the_end()

    assert waiting == "reserved"
    assert ending() == ("completed", "fulfilled", "succeeded", "succeeded", 8)
    assert world.journal() == PAID


def test_late_payment_is_reminded_and_taken(
    world: Any, place: Any, mug: Product, settings: Any
) -> None:
    settings.ORDERS_PAYMENT_TIMEOUT = 900
    place(card_number=SLOW)

    world.run_to_the_end()

    assert ending() == ("completed", "fulfilled", "succeeded", "succeeded", 8)
    assert world.journal() == [
        *REMINDED,
        ("late-payment", "completed"),
        *PAID[5:],
    ]
    assert subjects() == [REMINDER, SHIPPED]


def test_order_nobody_pays_expires_and_its_charge_is_cancelled(
    world: Any, place: Any, mug: Product
) -> None:
    place(card_number=SILENT)

    world.run_to_the_end()

    assert ending() == ("completed", "expired", "cancelled", "cancelled", 10)
    assert world.journal() == [
        *REMINDED,
        ("late-payment", "failed"),
        ("cancel-charge", "completed"),
        ("release-stock", "completed"),
    ]
    assert subjects() == [REMINDER]


def test_payment_we_never_heard_of_is_found_before_giving_up(
    world: Any, place: Any, mug: Product
) -> None:
    place(card_number=SILENT)
    world.run_until_quiet()
    Charge.objects.update(status="succeeded")

    world.run_to_the_end()

    assert ending() == ("completed", "fulfilled", "succeeded", "succeeded", 8)
    assert world.journal()[-4:] == [
        ("cancel-charge", "completed"),
        *PAID[5:],
    ]


def test_busy_provider_is_asked_again_for_the_same_charge(
    world: Any, place: Any, client: Client, mug: Product
) -> None:
    placed = place(card_number=UNAVAILABLE).json()

    world.run_to_the_end()

    steps = client.get(placed["url"]).json()["run"]["steps"]
    assert ending() == ("completed", "fulfilled", "succeeded", "succeeded", 8)
    call = steps[2]
    assert (call["step_id"], call["attempts"]) == ("charge-card", 3)
    assert call["tries"] == " · 3 attempts"
    assert Charge.objects.get().requests == 3


def test_replay_after_the_provider_was_away_charges_once(
    world: Any, place: Any, client: Client, mug: Product, settings: Any
) -> None:
    provider = settings.PAYMENTS_URL
    settings.PAYMENTS_URL = "http://127.0.0.1:1"
    placed = place().json()
    world.run_to_the_end()
    failed = client.get(placed["url"]).json()
    settings.PAYMENTS_URL = provider

    replayed_as = DeadLetterEntry.objects.get().replay()
    world.run_to_the_end()

    shown = client.get(placed["url"]).json()
    assert (failed["status"], failed["run"]["status"]) == (
        "reserved",
        "failed",
    )
    assert failed["run"]["trouble"] == (
        "Something went wrong with this order; we will look at it."
    )
    assert (shown["status"], shown["run"]["run_id"]) == (
        "fulfilled",
        replayed_as,
    )
    assert Product.objects.get().stock == 8
    assert Charge.objects.count() == 1


def test_mail_that_cannot_be_sent_stops_nothing(
    world: Any, place: Any, mug: Product
) -> None:
    place()
    Order.objects.update(email="ada@example.com\nBcc: eve@example.com")

    world.run_to_the_end()

    assert ending() == ("completed", "fulfilled", "succeeded", "succeeded", 8)
    assert world.journal() == [*PAID[:-1], ("confirmation-mail", "failed")]
    assert subjects() == []


def test_last_item_is_sold_once(
    world: Any, place: Any, mug: Product, last_pot: Product
) -> None:
    lines = [{"sku": "MUG", "quantity": 1}, {"sku": "POT", "quantity": 1}]
    placed = [place(lines=lines).status_code for _ in "12"]

    world.run_to_the_end()

    ends = Order.objects.values_list("status", "reason").order_by("status")
    stocks = Product.objects.values_list("sku", "stock")
    assert placed == [201, 201]
    assert list(ends) == [
        ("cancelled", "Teapot is sold out."),
        ("fulfilled", ""),
    ]
    assert dict(stocks) == {"MUG": 9, "POT": 0}
    assert Charge.objects.count() == 1


def test_wrong_amount_stops_the_order_for_a_person(
    world: Any, place: Any, mug: Product
) -> None:
    place()
    world.run_until_quiet()
    Charge.objects.update(amount="0.29")

    world.run_to_the_end()

    run = WorkflowRun.objects.get()
    assert run.status == "failed"
    assert "costs 29.00, but 0.29 was paid" in run.error_message
    assert Order.objects.get().status == "reserved"


def test_order_that_does_not_exist_fails_at_once(world: Any) -> None:
    process_order.trigger(
        data={"order_id": "00000000-0000-4000-8000-000000000000"}
    )

    world.run_to_the_end()

    assert world.journal() == [("validate", "failed")]
    assert WorkflowRun.objects.get().status == "failed"


def test_books_of_shop_and_provider_agree(
    world: Any, place: Any, mug: Product
) -> None:
    for card in (DECLINES, SILENT, UNAVAILABLE, SLOW, "4242424242424242"):
        place(card_number=card, lines=[{"sku": "MUG", "quantity": 1}])

    world.run_to_the_end()

    ours = Payment.objects.values_list("provider_id", "status", "amount")
    theirs = Charge.objects.values_list("id", "status", "amount")
    assert sorted(ours) == sorted(theirs)
    assert Product.objects.get().stock == 10 - 3


def test_card_number_is_in_no_row_and_no_log(
    world: Any, place: Any, mug: Product, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    place(card_number="4242424242424242")

    world.run_to_the_end()

    run = WorkflowRun.objects.get()
    kept = [run.data, *run.step_executions.values()]
    assert "424242" not in str(kept)
    assert "424242" not in caplog.text


def test_finished_run_is_shown_step_by_step(
    world: Any, place: Any, client: Client, mug: Product
) -> None:
    placed = place().json()
    world.run_to_the_end()

    run = client.get(placed["url"]).json()["run"]
    page = client.get(placed["page"]).content.decode()

    wait = run["steps"][4]
    assert wait == {
        "step_id": "payment",
        "kind": "wait_for_event",
        "status": "completed",
        "attempts": wait["attempts"],
        "started_at": wait["started_at"],
        "executed_at": wait["executed_at"],
        "duration": wait["duration"],
        "deliveries": wait["deliveries"],
        "wake_at": wait["wake_at"],
        "event_name": "payment.settled",
        "title": "Payment",
        "state": "completed",
        "about": " · wait",
        "tries": "",
        "took": wait["took"],
    }
    assert (run["status"], run["ended"]) == ("completed", True)
    assert [step["title"] for step in run["steps"]][:2] == [
        "Validate",
        "Reserve stock",
    ]
    assert "Confirmation mail" in page
    assert 'http-equiv="refresh"' not in page


def test_a_step_that_waits_says_for_what_and_until_when(
    world: Any, place: Any, client: Client, mug: Product
) -> None:
    world.now = datetime(2026, 11, 25, 13, 28, 5, tzinfo=UTC)
    placed = place(card_number=SILENT).json()
    world.run_until_quiet()

    page = client.get(placed["page"]).content.decode()
    world.now = datetime(2026, 11, 24, 13, 28, 5, tzinfo=UTC)
    the_day_before = client.get(placed["url"]).json()["run"]["steps"][4]

    assert " · wait for payment.settled until 14:28:05 UTC<" in page
    assert the_day_before["about"] == (
        " · wait for payment.settled until 25 Nov 14:28 UTC"
    )


def test_a_wait_in_which_nothing_came_has_timed_out(
    world: Any, place: Any, client: Client, mug: Product
) -> None:
    placed = place(card_number=SILENT).json()
    world.run_to_the_end()

    page = client.get(placed["page"]).content.decode()

    states = re.findall(r'<li class="step" data-status="([^"]+)"', page)
    assert states.count("timed out") == 2
    assert "failed" not in states
    assert "wait_for_event" not in page


def test_a_provider_that_is_away_is_told_in_words(
    world: Any, place: Any, client: Client, mug: Product
) -> None:
    world.now = datetime(2026, 11, 25, 13, 28, 5, tzinfo=UTC)
    placed = place(card_number=UNAVAILABLE).json()
    world.run_until_quiet()

    run = client.get(placed["url"]).json()["run"]
    page = client.get(placed["page"]).content.decode()

    assert re.fullmatch(
        r"The payment provider is unavailable; "
        r"we try again at 13:28:\d\d UTC\.",
        run["trouble"],
    )
    assert run["trouble"] in page
    assert run["error_message"] == ""
    assert "/sandbox/charges/" not in page


@pytest.mark.parametrize("address", ["url", "page"])
def test_the_staff_reads_what_the_error_says(
    world: Any,
    place: Any,
    admin_client: Client,
    mug: Product,
    address: str,
) -> None:
    placed = place(card_number=UNAVAILABLE).json()
    world.run_until_quiet()

    shown = admin_client.get(placed[address]).content.decode()

    assert "/sandbox/charges/ answered 503" in shown


def test_what_happened_to_us_is_no_fault_of_the_provider(
    world: Any, place: Any, client: Client, mug: Product
) -> None:
    placed = place().json()
    world.run_until_quiet()
    WorkflowRun.objects.update(error_message="out of paper", wake_at=None)

    run = client.get(placed["url"]).json()["run"]

    assert run["trouble"] == "Something did not work; we try again now."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, "< 1 ms"),
        (0.0004, "< 1 ms"),
        (0.0124, "12 ms"),
        (1.44, "1.4 s"),
        (59.9, "59.9 s"),
        (3600, "60 min"),
    ],
)
def test_durations_are_told_in_a_few_letters(
    seconds: float | None, text: str
) -> None:
    assert took(seconds) == text


@pytest.mark.usefixtures("workflows")
def test_a_workflow_of_yours_may_be_called_process_order(world: Any) -> None:
    @workflow
    def process_order(ctx: WorkflowContext) -> dict[str, Any]:
        return {"status": "completed", "order": ctx.data["order_id"]}

    run_id = process_order.trigger(data={"order_id": "12345"})
    world.run_to_the_end()

    run = WorkflowRun.objects.get(run_id=run_id)
    assert (run.status, run.workflow_id) == ("completed", "process_order")
