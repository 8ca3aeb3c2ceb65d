# ruff: noqa: F403, F405
"""Settings of the processes that the tests start; the rest is environment."""

from __future__ import annotations

from tests.http.settings import *

INSTALLED_APPS += ["tests.http.observed"]
ROOT_URLCONF = "tests.http.observed.urls"
