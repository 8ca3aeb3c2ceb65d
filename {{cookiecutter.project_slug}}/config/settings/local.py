"""Settings of `make dev`: SQLite, DEBUG, printed mail."""

from __future__ import annotations

from config.declaration import LOCAL
from config.environment import host_of
from config.environment import seal
from config.environment import throttles
from config.environment import variable

from .base import *

# A killed site continues its runs this soon after its restart.
DJANGO_HOOKFLOW_LEASE = variable("DJANGO_HOOKFLOW_LEASE", LOCAL)

# sample: begin
# Soon enough to watch a reminder go out, and an order expire.
ORDERS_PAYMENT_TIMEOUT = variable("ORDERS_PAYMENT_TIMEOUT", LOCAL)
# sample: end

SENTRY_ENVIRONMENT = variable("SENTRY_ENVIRONMENT", LOCAL)

# The lines of style sheets would bury those of the workflows.
LOGGING["filters"]["requests"] = {"()": "core.logs.RequestFilter"}
LOGGING["loggers"]["django.server"] = {
    "filters": ["requests"],
    "propagate": True,  # Django's own handler is not ours
}

DEBUG = variable("DJANGO_DEBUG", LOCAL)
# Not "*": a page of the internet could then have its own name lead to this
# machine, and read what a site with DEBUG shows.
ALLOWED_HOSTS = [
    *dict.fromkeys(
        (
            *(ALLOWED_HOSTS or ()),
            *(".localhost", "127.0.0.1", "[::1]"),
            *host_of(DJANGO_HOOKFLOW_DOMAIN),
        )
    )
]
INTERNAL_IPS = ["127.0.0.1"]

THROTTLES = throttles(LOCAL)
DJANGO_TRUSTED_PROXIES = variable("DJANGO_TRUSTED_PROXIES", LOCAL)

seal(LOCAL)
