"""Every setting of this app with its type and default."""

from __future__ import annotations

from django_hookflow.conf import Declared


class Settings(Declared):
    # Where Sentry takes events; empty sends nothing and imports nothing.
    SENTRY_DSN: str = ""
    SENTRY_ENVIRONMENT: str = "production"
    # Which version runs, such as a commit; Sentry looks for one itself.
    SENTRY_RELEASE: str = ""
    # Which part of the traces is sent, from 0 to 1.
    SENTRY_TRACES_SAMPLE_RATE: float = 0.0
    # Whether events hold data of users and runs: bodies, local variables.
    SENTRY_SEND_PII: bool = False

    # What Prometheus sends as bearer token; empty means no /metrics.
    DJANGO_METRICS_TOKEN: str = ""
    # Seconds for which /metrics answers with the same counts of rows.
    DJANGO_METRICS_CACHE: float = 10

    # Whether X-Request-ID of a request is believed: when a proxy sets it.
    DJANGO_TRUST_REQUEST_ID: bool = False


conf = Settings()
