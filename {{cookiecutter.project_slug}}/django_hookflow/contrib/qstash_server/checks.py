"""Settings that cannot mean what they say, found by `manage.py check`."""

from __future__ import annotations

from typing import Any

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
