"""System checks: the problem in `msg`, the cure in `hint`."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Error
from django.core.checks import Tags
from django.core.checks import Warning as CheckWarning
from django.core.checks import register

from django_hookflow.contrib.api.access import EVERY
from django_hookflow.contrib.api.access import KEYS
from django_hookflow.contrib.api.access import imported
from django_hookflow.contrib.api.access import split
from django_hookflow.contrib.api.conf import conf
from django_hookflow.contrib.api.conf import requires_authentication

EXAMPLE = (
    'Write, for example, {"process-order": {"crud_permission_class": '
    '"shop.permissions:IsSubscriber"}}.'
)
METHODS = {"permission": "has_object_permission", "throttle": "allow_request"}


@register("hookflow")
def check_access(**_: Any) -> list[CheckMessage]:
    return [
        Error(
            f"DJANGO_HOOKFLOW_API_ACCESS {problem}.",
            hint=EXAMPLE,
            id="hookflow_api.E001",
        )
        for problem in _problems(conf.DJANGO_HOOKFLOW_API_ACCESS)
    ]


@register(Tags.security, deploy=True)
def check_authentication(**_: Any) -> list[CheckMessage]:
    if requires_authentication() or settings.DEBUG:
        return []
    return [
        CheckWarning(
            "DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION is False, so anyone "
            "may start, see and cancel runs that have no owner.",
            hint="Set it to True, unless the site is a demo.",
            id="hookflow_api.W001",
        )
    ]


def _problems(given: Any) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield f"is {given!r}, but must be a dict by workflow id"
        return
    for workflow, classes in given.items():
        if not isinstance(classes, Mapping):
            yield f"has {classes!r} for {workflow!r}, which must be a dict"
            continue
        if problem := _problem_of_name(workflow):
            yield problem
        for key, path in classes.items():
            if problem := _problem_of_class(key, path):
                yield f"has {path!r} as {key!r} of {workflow!r}: {problem}"


def _problem_of_name(workflow: Any) -> str:
    if not isinstance(workflow, str):
        return f"has the key {workflow!r}, which must be a workflow id"
    workflow_id, version = split(workflow)
    if not workflow_id or (workflow_id == EVERY and version is not None):
        return (
            f'has the key {workflow!r}, which must be a workflow id, "id@2" '
            f'for its version 2, or "{EVERY}"'
        )
    return ""


def _problem_of_class(key: Any, path: Any) -> str:
    if key not in KEYS:
        return f"expected one of {', '.join(KEYS)}"
    try:
        found = imported(path)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        return f"it cannot be imported: {error}"
    kind = key.split("_")[1]
    if not hasattr(found, METHODS[kind]):
        return f"it is not a {kind} class of the REST framework"
    return ""
