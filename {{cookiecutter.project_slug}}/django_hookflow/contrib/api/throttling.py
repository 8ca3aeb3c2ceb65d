"""The throttles of workflows that name none of their own.

They count in Django's default cache. A cache in memory is one of each
process, so a site with several needs a shared one, or its own classes.
"""

from __future__ import annotations

from typing import Any

from rest_framework.throttling import UserRateThrottle

from django_hookflow.contrib.api.conf import conf


class CreationThrottle(UserRateThrottle):
    """Counts what starts a run, by user, or by address without one."""

    scope = "hookflow-creation"

    def get_rate(self) -> Any:
        return conf.DJANGO_HOOKFLOW_API_CREATION_RATE


class ResumeThrottle(UserRateThrottle):
    """Counts answers, events and resumptions."""

    scope = "hookflow-resume"

    def get_rate(self) -> Any:
        return conf.DJANGO_HOOKFLOW_API_RESUME_RATE
