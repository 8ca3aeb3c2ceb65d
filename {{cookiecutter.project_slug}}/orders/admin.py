"""The shop in Django's admin."""

from __future__ import annotations

from django.contrib import admin

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
    list_display = ("id", "email", "status", "total", "created_at")
    list_filter = ("status",)
    search_fields = ("id", "email", "run_id")
    readonly_fields = ("id", "run_id", "created_at")
    inlines = (OrderLineInline, PaymentInline)
