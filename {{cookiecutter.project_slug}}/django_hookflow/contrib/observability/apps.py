"""The Django app of observability: starts Sentry and metrics by settings."""

from __future__ import annotations

from django.apps import AppConfig

from django_hookflow.contrib.observability import gunicorn
from django_hookflow.contrib.observability.conf import conf


class ObservabilityConfig(AppConfig):
    name = "django_hookflow.contrib.observability"
    label = "hookflow_observability"
    verbose_name = "Observability"

    def ready(self) -> None:
        if conf.SENTRY_DSN:
            from django_hookflow.contrib.observability import sentry

            sentry.start()
        if conf.DJANGO_METRICS_TOKEN:
            gunicorn.make_directory()
            from django_hookflow.contrib.observability import metrics

            metrics.listen()
