"""The Django app of the Temporal transport; it brings the worker's command."""

from __future__ import annotations

from django.apps import AppConfig


class TemporalConfig(AppConfig):
    name = "django_hookflow.contrib.temporal"
    label = "hookflow_temporal"
    verbose_name = "Temporal"

    def ready(self) -> None:
        from django_hookflow.contrib.temporal import checks  # noqa: F401
