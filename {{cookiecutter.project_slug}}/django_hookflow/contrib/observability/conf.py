"""Every setting of this app with its type and default, read at access."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings


class Settings:
    # Where Sentry takes events; empty sends nothing and imports nothing.
    SENTRY_DSN: str = ""
    SENTRY_ENVIRONMENT: str = "production"
    # The version that runs, such as a commit; empty lets Sentry look for one.
    SENTRY_RELEASE: str = ""
    # The part of traces that is sent, from 0 to 1.
    SENTRY_TRACES_SAMPLE_RATE: float = 0.0
    # True puts data of users and runs into events: bodies, local variables.
    SENTRY_SEND_PII: bool = False

    # The bearer token that Prometheus sends; empty means no /metrics.
    DJANGO_METRICS_TOKEN: str = ""
    # Seconds for which /metrics keeps its counts of rows.
    DJANGO_METRICS_CACHE: float = 10

    # True trusts a request's X-Request-ID: when a proxy sets it.
    DJANGO_TRUST_REQUEST_ID: bool = False

    def __getattribute__(self, name: str) -> Any:
        default = super().__getattribute__(name)
        value = getattr(django_settings, name, None)
        return default if value is None else value


conf = Settings()
