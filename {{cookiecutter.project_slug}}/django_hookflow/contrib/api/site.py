"""All addresses of the API, for the root of a site; urls.py has one of them.

path("", include("django_hookflow.contrib.api.site"))
"""

from __future__ import annotations

from django.urls import include
from django.urls import path
from drf_spectacular.views import SpectacularAPIView
from drf_spectacular.views import SpectacularSwaggerSplitView

from django_hookflow.contrib.api.urls import start

API = "django_hookflow.contrib.api.urls"

urlpatterns = [
    path("api/hookflow/v1/", include(API)),
    # Other addresses of the same.
    path("api/graflow/", include(API, namespace="graflow")),
    path("_api/", include(([start], "start"))),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(), name="docs"),
]
