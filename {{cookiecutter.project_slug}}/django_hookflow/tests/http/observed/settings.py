# ruff: noqa: F403, F405
"""Settings of the processes that the tests start; the rest is environment."""

from __future__ import annotations

from django_hookflow.tests.http.settings import *

INSTALLED_APPS += ["django_hookflow.tests.http.observed"]
ROOT_URLCONF = "django_hookflow.tests.http.observed.urls"
