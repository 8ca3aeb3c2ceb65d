# ruff: noqa: F403, F405
"""Settings of the processes that the tests start; the rest is environment."""

from __future__ import annotations

from config.settings.local import *

INSTALLED_APPS += ["django_hookflow.tests.http.brake"]
MIDDLEWARE.remove("whitenoise.middleware.WhiteNoiseMiddleware")

# A killed process is replaced soon.
DJANGO_HOOKFLOW_LEASE = 2
DJANGO_HOOKFLOW_SWEEP_AFTER = 1
# Tests kill processes more often than a run may.
DJANGO_HOOKFLOW_MAX_CRASHES = 100
DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 5
PAYMENTS_SANDBOX_SECONDS = 0.1  # sample
PAYMENTS_SANDBOX_NOTIFIER = True  # sample
