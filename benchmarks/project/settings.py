"""The template's own settings, for a database and ports of the runner's."""

from __future__ import annotations

import hashlib
import os

from config.environment import kept_connections
from config.environment import variable
from config.settings import base
from config.settings.base import *


def made(name: str) -> str:
    """Return a key as long and as mixed as the site asks for."""
    return hashlib.sha256(f"{name} of the benchmarks".encode()).hexdigest()


SECRET_KEY = made("secret key")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
INSTALLED_APPS = [*base.INSTALLED_APPS, "benchmarks.project"]
LOGGING_CONFIG = None

QSTASH_URL = os.environ.get("QSTASH_URL", "http://127.0.0.1:1")
QSTASH_TOKEN = made("token")
QSTASH_CURRENT_SIGNING_KEY = "sig_" + made("current key")
QSTASH_NEXT_SIGNING_KEY = "sig_" + made("next key")
PAYMENTS_URL = "http://127.0.0.1:1"  # nothing is paid here
PAYMENTS_API_KEY = made("payments")
PAYMENTS_WEBHOOK_SECRET = made("payments webhook")
DJANGO_HOOKFLOW_DOMAIN = os.environ.get(
    "DJANGO_HOOKFLOW_DOMAIN", "http://testserver"
)
if "DJANGO_HOOKFLOW_DOMAIN" not in os.environ:
    DJANGO_HOOKFLOW_TRANSPORT = "benchmarks.project.transport.DirectTransport"

# As in production: a request does not begin with a new connection.
base.DATABASES["default"] |= kept_connections(
    base.DATABASES["default"], age=variable("DJANGO_CONN_MAX_AGE"), pool=0
)
