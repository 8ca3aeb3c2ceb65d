"""The shop in Django's admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from .models import Order
from .models import OrderLine
from .models import Payment
from .models import Product
from .timeline import ENDED
from .timeline import last_run


def run_status(order: Order) -> str:
    """How its run is; "" when the row has been erased."""
    run = last_run(order.run_id)
    return run.status if run else ""


class ReadOnly:
    """Steps write; people read."""

    def has_add_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


class OrderLineInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = OrderLine
    extra = 0


class PaymentInline(ReadOnly, admin.StackedInline):  # type: ignore[type-arg]
    model = Payment
    extra = 0


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("sku", "name", "price", "stock")
    search_fields = ("sku", "name")


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """While the run of an order is open, its steps alone change it."""

    list_display = ("id", "email", "status", "total", "created")
    list_filter = ("status",)
    search_fields = ("id", "email", "run_id")
    # A failed run may say to close its order by hand.
    fields = ("id", "email", "status", "reason", "total", "run", "created")
    readonly_fields = ("id", "email", "total", "run", "created")
    inlines = (OrderLineInline, PaymentInline)

    def has_add_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """An order begins with its run, which the shop starts."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Order | None = None
    ) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or run_status(obj) in ("failed", ""))

    def has_delete_permission(
        self, request: HttpRequest, obj: Order | None = None
    ) -> bool:
        """As for hookflow_erase: an open run would go on without its rows."""
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or run_status(obj) in (*ENDED, ""))

    @admin.display(ordering="created_at")
    def created(self, order: Order) -> str:
        return f"{timezone.localtime(order.created_at):%Y-%m-%d %H:%M:%S}"

    def run(self, order: Order) -> str:
        runs = reverse("admin:django_hookflow_workflowrun_changelist")
        return format_html(
            '<a href="{}?run_id={}">{}</a>', runs, order.run_id, order.run_id
        )
