"""The shop for people."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.utils import translation

from config.urls import urlpatterns
from django_hookflow.models import WorkflowRun
from orders.models import Order
from orders.models import Product

pytestmark = pytest.mark.django_db

FORM = {"email": "ada@example.com", "card_token": "tok_settles"}


def test_start_page_lists_products(client: Client, mug: Product) -> None:
    page = client.get("/").content.decode()

    assert "Mug" in page
    assert "14.50 EUR" in page
    assert "10 left" in page


def test_empty_shop_says_how_to_fill_it(client: Client) -> None:
    assert "load_products" in client.get("/").content.decode()


def test_form_places_an_order_and_shows_it(
    client: Client, mug: Product, last_pot: Product
) -> None:
    answer = client.post(
        "/", FORM | {"quantity-MUG": "2", "quantity-POT": "0"}
    )

    order = Order.objects.get()
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/orders/{order.pk}/"
    assert [str(line) for line in order.lines.all()] == ["2 x Mug"]
    assert WorkflowRun.objects.get().run_id == order.run_id


def test_form_is_shown_again_with_what_is_wrong(
    client: Client, mug: Product, last_pot: Product
) -> None:
    answer = client.post(
        "/",
        FORM | {"email": "<b>", "quantity-MUG": "1", "quantity-POT": "2"},
    )

    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Only 1 left." in page
    assert "Enter a valid email address." in page
    assert 'value="&lt;b&gt;"' in page
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "form",
    [
        {},
        FORM,
        FORM | {"quantity-": "1"},
        FORM | {"quantity-NONE": "1"},
        FORM | {"quantity-MUG": "one"},
        FORM | {"quantity-MUG": "1", "card_token": "4242424242424242"},
    ],
)
def test_wrong_form_is_refused(
    client: Client, mug: Product, form: dict[str, str]
) -> None:
    answer = client.post("/", form)

    assert answer.status_code == 400
    assert "Nothing was ordered." in answer.content.decode()
    assert not WorkflowRun.objects.exists()


def test_an_empty_order_marks_what_is_missing(
    client: Client, mug: Product
) -> None:
    answer = client.post("/", {"email": "", "quantity-MUG": "0"})

    page = answer.content.decode()
    assert re.findall(r'id="error-([\w-]+)">([^<]+)<', page) == [
        ("lines", "Choose at least one product."),
        ("email", "Give your e-mail address."),
    ]
    assert 'aria-describedby="about-MUG error-lines"' in page
    assert page.count('aria-invalid="true"') == 2


def test_form_without_csrf_token_is_refused(mug: Product) -> None:
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/", FORM | {"quantity-MUG": "1"})

    assert answer.status_code == 403


def test_order_page_works_without_javascript(
    place: Any, client: Client, mug: Product
) -> None:
    placed = place().json()

    page = client.get(placed["page"]).content.decode()

    assert "Placed" in page
    assert "29.00 EUR" in page
    assert 'http-equiv="refresh"' in page


@pytest.mark.parametrize("path", ["/", "page", "/sandbox/"])
def test_pages_work_under_a_strict_csp(
    place: Any, client: Client, mug: Product, path: str
) -> None:
    placed = place().json()

    page = client.get(placed.get(path, path)).content.decode()

    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", page)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert finders.find(address.removeprefix("/static/"))
    assert not re.search(r'(src|href)="(https?:)?//', page)


@pytest.mark.parametrize("address", ["url", "page"])
def test_an_order_never_looks_older_than_its_run(
    place: Any, client: Client, mug: Product, address: str
) -> None:
    placed = place().json()

    with connection.execute_wrapper(EndsWhenItsRunIsRead(placed["id"])):
        page = client.get(placed[address]).content.decode()

    assert "completed" in page
    assert "fulfilled" in page.lower()
    assert "placed" not in page.lower()


class EndsWhenItsRunIsRead:
    """Another process ends the run after the order was read."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id

    def __call__(
        self, execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if self.order_id and "workflowrun" in sql:
            order_id, self.order_id = self.order_id, ""
            WorkflowRun.objects.update(status="completed")
            Order.objects.filter(pk=order_id).update(status="fulfilled")
        return execute(sql, params, many, context)


def test_orders_are_in_the_admin(
    place: Any, admin_client: Client, mug: Product
) -> None:
    order_id = place().json()["id"]

    pages = [
        admin_client.get(f"/admin/orders/{path}")
        for path in ("product/", "order/", f"order/{order_id}/change/")
    ]

    assert [page.status_code for page in pages] == [200, 200, 200]
    run = f"/admin/django_hookflow/workflowrun/?run_id=order-{order_id}"
    assert f'href="{run}"' in pages[2].content.decode()
    assert f">order-{order_id}</a>" in admin_client.get(run).content.decode()


def test_orders_begin_in_the_shop_only(admin_client: Client) -> None:
    listing = admin_client.get("/admin/orders/order/").content.decode()

    assert "/admin/orders/order/add/" not in listing
    assert admin_client.get("/admin/orders/order/add/").status_code == 403


def test_an_order_without_a_run_says_what_is_true(
    place: Any, client: Client, mug: Product
) -> None:
    placed = place().json()
    WorkflowRun.objects.all().delete()

    page = client.get(placed["page"]).content.decode()

    assert (
        "There is no record of a run: it was cleaned up, or never began."
    ) in page


def test_the_shop_does_without_the_sandbox(
    client: Client, mug: Product, settings: LazySettings
) -> None:
    settings.ROOT_URLCONF = WithoutSandbox

    page = client.get("/").content.decode()

    assert "Mug" in page
    assert "Test cards" not in page


class WithoutSandbox:
    """The addresses of a site that asks a real provider."""

    urlpatterns = [  # noqa: RUF012
        found
        for found in urlpatterns
        if getattr(found, "app_name", "") != "payments_sandbox"
    ]


def test_what_scripts_and_browsers_read_is_not_localized(
    client: Client, settings: LazySettings
) -> None:
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    Product.objects.create(sku="A-1", name="Cup", price="1249.50", stock=12345)

    with translation.override("de"):
        page = client.get("/").content.decode()

    found = re.findall(r'(?:data-price|max)="([^"]*)"', page)
    assert found == ["12345", "1249.50"]
    assert "1.249,50" in page


def test_staff_reach_the_run_of_an_order(
    client: Client, admin_client: Client, mug: Product
) -> None:
    client.post("/", FORM | {"quantity-MUG": "1"})
    order = Order.objects.get()
    where = f'href="/dashboard/runs/{order.run_id}/"'

    of_customer = client.get(f"/orders/{order.pk}/").content.decode()
    of_staff = admin_client.get(f"/orders/{order.pk}/").content.decode()

    assert where not in of_customer
    assert where in of_staff
