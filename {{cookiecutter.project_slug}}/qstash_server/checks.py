"""Checks of settings that cannot work, for `manage.py check`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Error

from .conf import Config
from .errors import ConfigurationError


def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        Config.from_settings()
    except ConfigurationError as error:
        return [Error(error.problem, hint=error.cure, id="qstash_server.E001")]
    return []


def check_routes(**_: Any) -> list[CheckMessage]:
    """Refuse routes on a deployed site: they are for tests."""
    routes = getattr(settings, "QSTASH_SERVER_ROUTES", None)
    if not routes:
        return []
    return [
        Error(
            "QSTASH_SERVER_ROUTES sends deliveries to other hosts than their"
            f" destinations: {', '.join(sorted(map(str, routes)))}.",
            hint="It is for development and for copies of a site. Remove it"
            " from the settings of the site that is deployed.",
            id="qstash_server.E002",
        )
    ]
