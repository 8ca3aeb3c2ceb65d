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


class OrderLineInline(admin.TabularInline):  # type: ignore[type-arg]
    model = OrderLine
    extra = 0


class PaymentInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Payment
    extra = 0


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("sku", "name", "price", "stock")
    search_fields = ("sku", "name")


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("id", "email", "status", "total", "created")
    list_filter = ("status",)
    search_fields = ("id", "email", "run_id")
    readonly_fields = ("id", "run", "created")
    inlines = (OrderLineInline, PaymentInline)

    def has_add_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        """An order begins with its run, which the shop starts."""
        return False

    @admin.display(ordering="created_at")
    def created(self, order: Order) -> str:
        return f"{timezone.localtime(order.created_at):%Y-%m-%d %H:%M:%S}"

    def run(self, order: Order) -> str:
        runs = reverse("admin:django_hookflow_workflowrun_changelist")
        return format_html(
            '<a href="{}?run_id={}">{}</a>', runs, order.run_id, order.run_id
        )
