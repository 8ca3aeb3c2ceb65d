"""Throttles of the API over runs, which count in the database.

The REST framework's own count in the cache: here that is in the memory of
each process, so that a user would have the rate once per process.
"""

from __future__ import annotations

import logging
from typing import ClassVar

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from core.throttling import client_address
from core.throttling import rate_of
from core.throttling import seconds_to_wait

logger = logging.getLogger("core.throttling")


class SiteThrottle(BaseThrottle):
    """Counts by user, or by address without one; `scope` has the rate."""

    scope: ClassVar[str]

    def allow_request(self, request: Request, view: APIView) -> bool:
        rate = rate_of(settings.THROTTLES.get(self.scope, "off"))
        client = self.client_of(request)
        self.seconds = seconds_to_wait(self.scope, client, rate) if rate else 0
        if self.seconds:
            logger.warning(
                "%s %s of %s is throttled: more than %s in %s",
                request.method,
                request.path,
                client,
                settings.THROTTLES[self.scope],
                self.scope,
            )
        return not self.seconds

    def client_of(self, request: Request) -> str:
        if request.user.pk is not None:
            return f"user {request.user.pk}"
        return client_address(request._request)

    def wait(self) -> float | None:
        return float(self.seconds)


class CreationThrottle(SiteThrottle):
    """Counts what starts a run."""

    scope = "creations"


class ResumeThrottle(SiteThrottle):
    """Counts answers, events and resumptions."""

    scope = "resumes"
