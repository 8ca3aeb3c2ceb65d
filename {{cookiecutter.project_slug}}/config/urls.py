"""The addresses of the site."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include
from django.urls import path

urlpatterns = [
    path(settings.ADMIN_PATH, admin.site.urls),
    path("hookflow/", include("django_hookflow.urls")),
    path("sandbox/", include("payments_sandbox.urls")),
    path("", include("orders.urls")),
]
