# ruff: noqa: F403, F405
"""Production's settings, an app of workflows, and less patience."""

from __future__ import annotations

import os

from config.settings.production import *

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django_hookflow.tests.http.brake",
    "project.production.workload",
]

# Who is killed is missed soon, and killed more often than a run may be that
# kills its workers.
DJANGO_HOOKFLOW_SWEEP_AFTER = 1
DJANGO_HOOKFLOW_MAX_CRASHES = int(os.environ.get("TEST_MAX_CRASHES", 100))

# Both workers say how things are now, and have the time to find it out.
READY_KEEPS = {"database": 0.0, "transport": 0.0}
READY_PATIENCE = 60.0

# Where this run of the tests has collected them.
STATIC_ROOT = os.environ["TEST_STATIC_ROOT"]

# Production's provider is another host's; here the sandbox plays it.
PAYMENTS_SANDBOX_NOTIFIER = True
PAYMENTS_SANDBOX_SECONDS = 0.1
