"""The addresses of the site."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include
from django.urls import path
from django.views.generic import TemplateView

urlpatterns = [
    path(settings.ADMIN_PATH, admin.site.urls),
    path("hookflow/", include("django_hookflow.urls")),
    path("dashboard/", include("django_hookflow.contrib.dashboard.urls")),
    path("", include("django_hookflow.contrib.api.site")),
    path("sandbox/", include("payments_sandbox.urls")),  # sample
    path("", include("orders.urls")),  # sample
    # Shown as long as no page above has this address.
    path("", TemplateView.as_view(template_name="core/start.html")),
]
