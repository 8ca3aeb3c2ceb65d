"""The page that explains the sandbox."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from .cards import CARDS


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    context = {
        "cards": CARDS,
        "seconds": settings.PAYMENTS_SANDBOX_SECONDS,
        "slow_seconds": settings.PAYMENTS_SANDBOX_SLOW_SECONDS,
    }
    return render(request, "payments_sandbox/start.html", context)
