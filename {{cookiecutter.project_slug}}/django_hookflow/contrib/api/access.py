"""Who may do what: owners, staff, and the classes of each workflow."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from collections.abc import Mapping
from functools import lru_cache
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q
from django.db.models import QuerySet
from rest_framework.permissions import AllowAny
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from django_hookflow.contrib.api.conf import conf
from django_hookflow.contrib.api.conf import requires_authentication
from django_hookflow.contrib.api.throttling import CreationThrottle
from django_hookflow.contrib.api.throttling import ResumeThrottle
from django_hookflow.models import WorkflowRun

# The keys of a workflow's classes.
CRUD_PERMISSION = "crud_permission_class"
RESUME_PERMISSION = "resume_permission_class"
CRUD_THROTTLE = "crud_throttle_class"
RESUME_THROTTLE = "resume_throttle_class"
KEYS = (CRUD_PERMISSION, RESUME_PERMISSION, CRUD_THROTTLE, RESUME_THROTTLE)

EVERY = "*"  # the key of all workflows that have none of their own

STEER = "django_hookflow.change_workflowrun"
SEE_PAYLOADS = "django_hookflow.view_payloads"


def class_for(key: str, workflow_id: str, version: int | None) -> Any:
    """Return the class of a workflow for one of KEYS."""
    given: Mapping[str, Mapping[str, str]] = conf.DJANGO_HOOKFLOW_API_ACCESS
    for name in (f"{workflow_id}@{version}", workflow_id, EVERY):
        path = given.get(name, {}).get(key)
        if path:
            return imported(path)
    if key == CRUD_THROTTLE:
        return CreationThrottle
    if key == RESUME_THROTTLE:
        return ResumeThrottle
    return IsAuthenticated if requires_authentication() else AllowAny


def split(name: str) -> tuple[str, int | None]:
    """Return the workflow id and the version of a key such as "ship@2"."""
    workflow_id, at, version = name.rpartition("@")
    if at and version.isascii() and version.isdigit():
        return workflow_id, int(version)
    return name, None


@lru_cache
def imported(path: str) -> Any:
    """Import "module.path:ClassName"; ValueError, or what imports raise."""
    if ":" not in path:
        raise ValueError(f'{path!r} is not like "module.path:ClassName"')
    return pkgutil.resolve_name(path)


def owner_of(request: Request) -> str:
    """Return the owner of the runs that a request starts."""
    return "" if request.user.pk is None else str(request.user.pk)


def is_staff(request: Request) -> bool:
    return bool(getattr(request.user, "is_staff", False))


def is_own(request: Request, owner: str) -> bool:
    return owner == owner_of(request)


def may_steer(request: Request, owner: str) -> bool:
    """Return True for the owner, and for staff who may change runs."""
    return is_own(request, owner) or (
        is_staff(request) and has_permission(request, STEER)
    )


def may_see_payloads(request: Request, owner: str) -> bool:
    return is_own(request, owner) or has_permission(request, SEE_PAYLOADS)


def has_permission(request: Request, name: str) -> bool:
    has_perm = getattr(request.user, "has_perm", None)
    return has_perm is not None and has_perm(name)


def visible(
    request: Request, *, and_hidden: bool = False
) -> QuerySet[WorkflowRun]:
    """Return the runs that a request may know of."""
    objects = WorkflowRun.objects
    runs = objects.all() if and_hidden else objects.not_hidden()
    if is_staff(request):
        return runs
    return runs.filter(owner=owner_of(request))


class Gate:
    """The permission classes of workflows, asked for one request."""

    def __init__(self, request: Request, view: Any) -> None:
        self.request = request
        self.view = view
        self._asked: dict[tuple[str, str, int | None], bool] = {}

    def lets_in(self, key: str, workflow_id: str, version: int | None) -> bool:
        """Return True if the user may use this workflow at all."""
        where = (key, workflow_id, version)
        if where not in self._asked:
            permission = class_for(*where)()
            self._asked[where] = permission.has_permission(
                self.request, self.view
            )
        return self._asked[where]

    def lets_near(self, key: str, run: WorkflowRun) -> bool:
        """Return True if the user may use this run."""
        permission = class_for(key, run.workflow_id, run.version)()
        return self.lets_in(key, run.workflow_id, run.version) and bool(
            permission.has_object_permission(self.request, self.view, run)
        )

    def near(self, runs: Iterable[WorkflowRun]) -> list[WorkflowRun]:
        """Return the runs of a page that the user may see."""
        return [run for run in runs if self.lets_near(CRUD_PERMISSION, run)]

    def workflows(
        self, key: str = CRUD_PERMISSION, prefix: str = ""
    ) -> Q | None:
        """Return the condition for the workflows that the user may use.

        None when there are none.
        """
        named: dict[str, list[int]] = {}
        for name in conf.DJANGO_HOOKFLOW_API_ACCESS:
            if name != EVERY:
                workflow_id, version = split(name)
                named.setdefault(workflow_id, [])
                named[workflow_id] += [] if version is None else [version]
        by_default = self.lets_in(key, EVERY, None)
        found = [
            condition
            for workflow_id, versions in named.items()
            if (
                condition := self._versions(
                    key, workflow_id, versions, prefix, is_open=not by_default
                )
            )
        ]
        others = reduce(or_, found, Q())
        if by_default:
            return ~others if others else Q()
        return others or None

    def _versions(
        self,
        key: str,
        workflow_id: str,
        versions: list[int],
        prefix: str,
        *,
        is_open: bool,
    ) -> Q:
        """Return the condition for the open, or closed, versions of one."""
        are_others = is_open == self.lets_in(key, workflow_id, None)
        exceptions = [
            version
            for version in versions
            if (is_open == self.lets_in(key, workflow_id, version))
            != are_others
        ]
        of_it = Q(**{f"{prefix}workflow_id": workflow_id})
        listed = Q(**{f"{prefix}version__in": exceptions})
        if are_others:
            return of_it & ~listed if exceptions else of_it
        return of_it & listed if exceptions else Q()
