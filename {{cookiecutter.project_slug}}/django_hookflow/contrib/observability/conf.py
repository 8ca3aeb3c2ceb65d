"""Every setting of this app with its type and default."""

from __future__ import annotations

from django_hookflow.conf import Declared


class Settings(Declared):
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


conf = Settings()
