"""System checks of the settings: the problem in `msg`, the cure in `hint`.

They do not use the network; `TemporalTransport.trouble` does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Error
from django.core.checks import register

from django_hookflow.conf import conf as engine_conf
from django_hookflow.contrib.temporal.conf import conf

ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
FILES = ("TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY", "TEMPORAL_TLS_CA")
TRANSPORTS = (
    "django_hookflow.contrib.temporal.TemporalTransport",
    "django_hookflow.contrib.temporal.transport.TemporalTransport",
)
NAMES = ("TEMPORAL_NAMESPACE", "TEMPORAL_TASK_QUEUE")


@register("hookflow")
def check_worker(**_: Any) -> list[CheckMessage]:
    """Check the settings even where another transport is used.

    The worker serves Temporal workflows of the project's own, too.
    """
    # The engine asks the transport in use for its problems.
    is_used = engine_conf.DJANGO_HOOKFLOW_TRANSPORT in TRANSPORTS
    return [] if is_used else problems()


def problems() -> list[CheckMessage]:
    """Return the problems of the settings."""
    found = [*_address(), *_names(), *_files(), *_pair()]
    return [Error(msg, hint=hint, id=check) for check, msg, hint in found]


Problem = tuple[str, str, str]


def _address() -> list[Problem]:
    address = conf.TEMPORAL_ADDRESS
    match = ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if match and 0 < int(match[1]) < 65536:
        return []
    return [
        (
            "hookflow_temporal.E001",
            f"TEMPORAL_ADDRESS is {address!r}, which is not a host and a "
            "port.",
            'Set it to something like "localhost:7233", without a scheme.',
        )
    ]


def _names() -> list[Problem]:
    return [
        (
            "hookflow_temporal.E002",
            f"{name} is {value!r}, but must be a text without white space at "
            "its ends.",
            "Leave it out for the default, or copy it from the cluster.",
        )
        for name in NAMES
        if not _is_name(value := getattr(conf, name))
    ]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value == value.strip()


def _files() -> list[Problem]:
    return [
        (
            "hookflow_temporal.E003",
            f"{name} is {value!r}, and there is no such file.",
            "Set it to the path of a PEM file.",
        )
        for name in FILES
        if (value := getattr(conf, name)) and not Path(value).is_file()
    ]


def _pair() -> list[Problem]:
    names = [name for name in FILES[:2] if getattr(conf, name)]
    if len(names) != 1:
        return []
    return [
        (
            "hookflow_temporal.E004",
            f"{names[0]} is configured alone, so the server cannot know this "
            "client.",
            "Set TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY, or neither.",
        )
    ]
