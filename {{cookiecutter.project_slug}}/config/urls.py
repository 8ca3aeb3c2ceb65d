"""The addresses of the site."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include
from django.urls import path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView
from drf_spectacular.views import SpectacularSwaggerSplitView

from django_hookflow.contrib.api.urls import start

API = "django_hookflow.contrib.api.urls"

urlpatterns = [
    path(settings.ADMIN_PATH, admin.site.urls),
    path("hookflow/", include("django_hookflow.urls")),
    path("dashboard/", include("django_hookflow.contrib.dashboard.urls")),
    path("api/hookflow/v1/", include(API)),
    # Other addresses of the same.
    path("api/graflow/", include(API, namespace="graflow")),
    path("_api/", include(([start], "start"))),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(), name="docs"),
    path("sandbox/", include("payments_sandbox.urls")),  # sample
    path("", include("orders.urls")),  # sample
    # Shown as long as no page above has this address.
    path("", TemplateView.as_view(template_name="core/start.html")),
]
