"""The shop for programs: what it answers, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_hookflow.models import WorkflowRun
from django_hookflow.workflows.registry import get_all_workflows
from orders.models import Order
from orders.models import Product

pytestmark = pytest.mark.django_db


def test_products_are_listed(client: Client, mug: Product) -> None:
    answer = client.get("/api/products/")

    assert answer.json() == [
        {"sku": "MUG", "name": "Mug", "price": "14.50", "stock": 10}
    ]


def test_order_is_placed_with_its_run(place: Any, mug: Product) -> None:
    answer = place()

    order = Order.objects.get()
    assert answer.status_code == 201
    assert answer.headers["Location"] == answer.json()["url"]
    assert answer.json() == {
        "id": str(order.pk),
        "status": "placed",
        "reason": "",
        "total": "29.00",
        "url": f"http://testserver/api/orders/{order.pk}/",
        "page": f"http://testserver/orders/{order.pk}/",
        "run_id": f"order-{order.pk}",
        "created_at": answer.json()["created_at"],
    }
    run = WorkflowRun.objects.get()
    assert run.run_id == order.run_id
    assert run.workflow_id == "sample-process-order"
    assert run.data == {"order_id": str(order.pk)}


def test_order_remembers_the_price_of_its_day(
    place: Any, mug: Product
) -> None:
    place()
    Product.objects.update(price=Decimal("99.00"))

    line = Order.objects.get().lines.get()
    assert (line.quantity, line.unit_price, line.amount) == (
        2,
        Decimal("14.50"),
        Decimal("29.00"),
    )


def test_order_is_shown_with_its_run(
    place: Any, client: Client, mug: Product
) -> None:
    placed = place().json()

    shown = client.get(placed["url"]).json()

    run = shown.pop("run")
    assert shown == placed
    assert run == {
        "run_id": placed["run_id"],
        "status": "pending",
        "ended": False,
        "trouble": "",
        "error_message": "",
        "messages": 1,
        "deliveries": 0,
        "steps": [],
    }


def test_the_addresses_of_an_order_do_without_the_format(
    place: Any, client: Client, mug: Product
) -> None:
    placed = place().json()

    shown = client.get(placed["url"], {"format": "json"}).json()

    assert (shown["url"], shown["page"]) == (placed["url"], placed["page"])


def test_order_whose_run_was_cleaned_up_is_still_shown(
    place: Any, client: Client, mug: Product
) -> None:
    placed = place().json()
    WorkflowRun.objects.all().delete()

    assert client.get(placed["url"]).json()["run"] is None
    assert client.get(placed["page"]).status_code == 200


def test_card_may_be_a_token(place: Any, mug: Product) -> None:
    answer = place(card_number=..., card_token="tok_of_a_real_provider")

    assert answer.status_code == 201
    payment = Order.objects.get().payment
    assert payment.card_token == "tok_of_a_real_provider"


def test_card_number_is_stored_nowhere(place: Any, mug: Product) -> None:
    place(card_number="4242 4242 4242 4242")

    payment = Order.objects.get().payment
    assert payment.card_token == "tok_settles"
    assert "4242" not in str(WorkflowRun.objects.values())


PATTERN = "This value does not match the"


def one(sku: str, quantity: object) -> dict[str, Any]:
    return {"lines": [{"sku": sku, "quantity": quantity}]}


def line(index: str = "0", **errors: str) -> dict[str, Any]:
    return {"lines": {index: {name: [text] for name, text in errors.items()}}}


def no_list(error: str) -> dict[str, Any]:
    return {"lines": {"non_field_errors": [error]}}


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"email": ...}, {"email": ["This field is required."]}),
        ({"email": "ada"}, {"email": ["Enter a valid email address."]}),
        ({"email": " "}, {"email": ["Give your e-mail address."]}),
        ({"lines": ...}, {"lines": ["This field is required."]}),
        ({"lines": []}, no_list("Choose at least one product.")),
        (
            {"lines": "MUG"},
            no_list('Expected a list of items but got type "str".'),
        ),
        (one("CUP", 1), line(sku="Product 'CUP' does not exist.")),
        (one("M\x00G", 1), line(sku="Null characters are not allowed.")),
        (
            one("M\ud800G", 1),
            line(sku="Surrogate characters are not allowed: U+D800."),
        ),
        (one("MUG", 0), line(quantity="Order at least 1.")),
        (one("MUG", -1), line(quantity="Order at least 1.")),
        (one("MUG", 11), line(quantity="Only 10 left.")),
        (one("MUG", 10**30), line(quantity="Order at most 1000.")),
        (one("MUG", "two"), line(quantity="Give a whole number.")),
        (
            {"lines": [*one("MUG", 1)["lines"], *one("MUG", 1)["lines"]]},
            line("1", sku="MUG is ordered twice; use one line."),
        ),
        (
            {"card_number": ...},
            {"card_number": ["Give either card_token or card_number."]},
        ),
        (
            {"card_token": "tok_settles"},
            {"card_number": ["Give either card_token or card_number."]},
        ),
        (
            {"card_number": ..., "card_token": "4242424242424242"},
            {"card_token": [f"{PATTERN} required pattern."]},
        ),
        (
            {"card_number": "4111111111111111"},
            {
                "card_number": [
                    "This is not one of the sandbox's test cards. The number "
                    "of a real card is given to the payment provider only; "
                    "send its token as card_token."
                ]
            },
        ),
    ],
)
def test_wrong_order_is_refused_and_starts_nothing(
    place: Any, mug: Product, changes: dict[str, Any], errors: Any
) -> None:
    answer = place(**changes)

    assert answer.status_code == 400
    assert answer.json() == errors
    assert not Order.objects.exists()
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", "{", '"\\ud800"', pytest.param("[" * 10**5, id="deep")],
)
def test_body_that_is_no_order_is_refused(client: Client, body: str) -> None:
    answer = client.post("/api/orders/", body, content_type="application/json")

    assert answer.status_code == 400


def test_too_many_lines_are_refused(place: Any, mug: Product) -> None:
    answer = place(lines=[{"sku": f"S{n}", "quantity": 1} for n in range(51)])

    assert answer.status_code == 400
    assert answer.json() == no_list("Order at most 50 products at once.")


@pytest.mark.parametrize(
    "path", ["/api/orders/00000000-0000-4000-8000-000000000000/",
             "/orders/00000000-0000-4000-8000-000000000000/",
             "/api/orders/1/"]
)  # fmt: skip
def test_unknown_order_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_session_is_not_looked_at_in_the_api(
    admin_user: Any, mug: Product
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    answer = client.post(
        "/api/orders/",
        {
            "email": "ada@example.com",
            "card_token": "tok_settles",
            "lines": [{"sku": "MUG", "quantity": 1}],
        },
        content_type="application/json",
    )

    assert answer.status_code == 201


def test_customers_start_no_workflow_of_the_shop_by_the_api(
    client: Client,
) -> None:
    client.force_login(User.objects.create_user("customer"))
    names = [
        name
        for name, workflow in get_all_workflows().items()
        if workflow.function.__module__.startswith("orders.")
    ]

    answers = [
        client.post(
            f"/_api/workflows/{name}/start",
            "{}",
            content_type="application/json",
        )
        for name in names
    ]
    types = client.get("/api/hookflow/v1/workflows/types/").json()

    assert len(names) == 5
    assert {answer.status_code for answer in answers} == {403}
    assert not {*names} & {*types.get("workflows", ())}
