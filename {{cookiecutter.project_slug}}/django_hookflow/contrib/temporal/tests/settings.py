# ruff: noqa: F403, F405
"""Settings of the workers that the tests start as processes."""

from __future__ import annotations

import os

from config.settings.test import *

INSTALLED_APPS += ["django_hookflow.contrib.temporal.tests.site"]
DJANGO_HOOKFLOW_TRANSPORT = (
    "django_hookflow.contrib.temporal.TemporalTransport"
)
DJANGO_HOOKFLOW_LEASE = 1
DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 10
TEMPORAL_ADDRESS = os.environ["TEMPORAL_TESTS_ADDRESS"]
TEMPORAL_TASK_QUEUE = os.environ["TEMPORAL_TESTS_QUEUE"]
