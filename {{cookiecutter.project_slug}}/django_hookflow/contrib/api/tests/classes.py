"""Permission and throttle classes that the tests name in settings."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.throttling import BaseThrottle


class Nobody(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class OnlyAda(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return bool(request.user.username == "ada")


class NotSecret(BasePermission):
    """Allows runs whose attributes do not say that they are secret."""

    def has_object_permission(self, request: Any, view: Any, run: Any) -> bool:
        return run.attributes.get("order") != "secret"


class OnePerTest(BaseThrottle):
    """Lets one request through, and the next in 7 seconds."""

    count = 0

    def allow_request(self, request: Any, view: Any) -> bool:
        type(self).count += 1
        return self.count == 1

    def wait(self) -> float:
        return 7
