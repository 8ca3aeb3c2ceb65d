"""The addresses of the sandbox."""

from __future__ import annotations

from django.urls import URLPattern
from django.urls import path

from . import api
from . import views
from .role import is_the_provider

app_name = "payments_sandbox"


def patterns() -> list[URLPattern]:
    """Return no pattern if PAYMENTS_URL names another provider."""
    if not is_the_provider():
        return []
    return [
        path("", views.start, name="start"),
        path("charges/", api.ChargeList.as_view(), name="charges"),
        path("charges/<str:pk>/", api.ChargeDetail.as_view(), name="charge"),
        path(
            "charges/<str:pk>/cancel/",
            api.ChargeCancel.as_view(),
            name="cancel",
        ),
        path(
            "charges/<str:pk>/refund/",
            api.ChargeRefund.as_view(),
            name="refund",
        ),
    ]


urlpatterns = patterns()
