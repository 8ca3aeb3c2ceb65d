"""Every setting of this app with its type and default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import ClassVar

from django_hookflow.conf import Declared


class Settings(Declared):
    # False lets people who are not logged in use the API, for a demo: they
    # see and steer the runs that have no owner. The second is another name.
    DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION: bool = True
    GRAFLOW_REQUIRE_AUTHENTICATION: bool = True

    # Classes of permissions and throttles, as "module.path:ClassName", by
    # workflow: {"process-order": {"crud_permission_class": "…"}}. A key is
    # a workflow id, one with a version, such as "process-order@2", or "*"
    # for all others.
    DJANGO_HOOKFLOW_API_ACCESS: ClassVar[Mapping[str, Any]] = {}

    # Runs that one user may start, and times that one may resume runs, where
    # no class of their own says otherwise.
    DJANGO_HOOKFLOW_API_CREATION_RATE: str = "100/hour"
    DJANGO_HOOKFLOW_API_RESUME_RATE: str = "300/hour"


conf = Settings()


def requires_authentication() -> bool:
    return bool(
        conf.DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION
        and conf.GRAFLOW_REQUIRE_AUTHENTICATION
    )
