"""The shop for people: two pages that also work without JavaScript."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.shortcuts import redirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods
from django.views.decorators.http import require_safe

from .cards import TEST_CARDS
from .forms import Draft
from .forms import rows
from .models import Order
from .serializers import NewOrderSerializer
from .timeline import sees_errors
from .timeline import timeline_of


@require_http_methods(["GET", "HEAD", "POST"])
def shop(request: HttpRequest) -> HttpResponse:
    """Show the products and the order form; place an order."""
    if request.method != "POST":
        return shop_page(request, Draft(), {})
    draft = Draft.of(request.POST)
    new = NewOrderSerializer(data=draft.as_json())
    if not new.is_valid():
        return shop_page(request, draft, new.errors, status=400)
    return redirect(new.save())


def shop_page(
    request: HttpRequest,
    draft: Draft,
    errors: dict[str, Any],
    status: int = 200,
) -> HttpResponse:
    context = {
        "draft": draft,
        "rows": rows(draft, errors),
        "errors": errors,
        "cards": TEST_CARDS,
        "currency": settings.ORDERS_CURRENCY,
    }
    return render(request, "orders/shop.html", context, status=status)


@require_safe
def order(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show an order and the steps of its run so far."""
    found = get_object_or_404(Order, pk=pk)
    context = {
        "run": timeline_of(found, sees_errors(request.user)),
        "order": found,
        "lines": found.lines.select_related("product"),
        "currency": settings.ORDERS_CURRENCY,
    }
    return render(request, "orders/order.html", context)
