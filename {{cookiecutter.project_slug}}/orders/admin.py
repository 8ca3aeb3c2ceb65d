"""The shop in Django's admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Field
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from django_hookflow.models import WorkflowRun
from django_hookflow.readonly import ReadOnly
from django_hookflow.states import RunStatus

from .models import Order
from .models import OrderLine
from .models import Payment
from .models import Product


def run_of(order: Order) -> WorkflowRun | None:
    """Return the run of an order; None when its row was deleted."""
    return WorkflowRun.objects.current(order.run_id)


class OrderLineInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = OrderLine
    extra = 0


class PaymentInline(ReadOnly, admin.StackedInline):  # type: ignore[type-arg]
    model = Payment
    extra = 0


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_stock(self) -> int:
        """Refuse a stock that changed while it was being edited."""
        wanted: int = self.cleaned_data["stock"]
        if self.instance.pk is None or "stock" not in self.changed_data:
            return wanted
        seen = self.data.get(self.add_initial_prefix("stock"))
        # Locked until it is written.
        row = Product.objects.select_for_update().get(pk=self.instance.pk)
        if seen != str(row.stock):
            raise forms.ValidationError(
                f"The stock is {row.stock} by now: orders have changed it "
                "since this page was opened. Open the page again, and type "
                "what is right today."
            )
        return wanted


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Orders take from the stock while a page of it is open."""

    form = ProductForm
    list_display = ("sku", "name", "price", "stock")
    search_fields = ("sku", "name")

    def formfield_for_dbfield(
        self,
        db_field: Field[Any, Any],
        request: HttpRequest,
        **kwargs: Any,
    ) -> forms.Field | None:
        if db_field.name == "stock":
            kwargs["show_hidden_initial"] = True
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(
        self,
        request: HttpRequest,
        obj: Product,
        form: Any,
        change: bool,
    ) -> None:
        """Write what was edited, so that the rest stays as it is by now."""
        if change:
            obj.save(update_fields=form.changed_data)
        else:
            super().save_model(request, obj, form, change)


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
        """Refuse to add: an order starts with its run, in the shop."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Order | None = None
    ) -> bool:
        may = super().has_change_permission(request, obj)
        run = run_of(obj) if obj else None
        return may and (run is None or run.status == RunStatus.FAILED)

    def has_delete_permission(
        self, request: HttpRequest, obj: Order | None = None
    ) -> bool:
        """Refuse while the run is open: it would continue without its rows."""
        may = super().has_delete_permission(request, obj)
        run = run_of(obj) if obj else None
        return may and (run is None or run.is_finished)

    @admin.display(ordering="created_at")
    def created(self, order: Order) -> str:
        return f"{timezone.localtime(order.created_at):%Y-%m-%d %H:%M:%S}"

    def run(self, order: Order) -> str:
        runs = reverse("admin:django_hookflow_workflowrun_changelist")
        return format_html(
            '<a href="{}?run_id={}">{}</a>', runs, order.run_id, order.run_id
        )
