"""The Django app of the API over runs."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "django_hookflow.contrib.api"
    label = "hookflow_api"
    verbose_name = "API over runs"

    def ready(self) -> None:
        from django_hookflow.contrib.api import checks  # noqa: F401
