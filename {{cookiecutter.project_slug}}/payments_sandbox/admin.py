"""The provider's books in Django's admin."""

from __future__ import annotations

from django.contrib import admin

from .models import Charge


@admin.register(Charge)
class ChargeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("id", "status", "amount", "currency", "reference")
    list_filter = ("status",)
    search_fields = ("id", "reference")
