"""System checks: the problem in `msg`, the cure in `hint`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Error
from django.core.checks import Tags
from django.core.checks import Warning as CheckWarning
from django.core.checks import register
from django.urls import NoReverseMatch

from django_hookflow.addresses import public_path
from django_hookflow.conf import conf
from django_hookflow.conf import impossible
from django_hookflow.persistence.database import connection
from django_hookflow.transports import get_transport
from django_hookflow.workflows.registry import get_workflow
from django_hookflow.workflows.registry import get_workflow_infos

SUPPORTED = ("postgresql", "sqlite")
# READ UNCOMMITTED and READ COMMITTED, by psycopg's numbers. To PostgreSQL
# they are the same.
FIT = (1, 2)
ISOLATION = re.compile(
    r"default_transaction_isolation=['\"]?(repeatable.{0,2}read|serializable)"
)


@register("hookflow")
def check_settings(**_: Any) -> list[CheckMessage]:
    return [
        Error(
            f"{name} is {value!r}, but must be {wanted}.",
            hint="Convert what comes from the environment, as in "
            "int(os.environ[...]), or leave the setting out.",
            id="django_hookflow.E010",
        )
        for name, value, wanted in impossible()
    ]


@register("hookflow")
def check_time_zones(**_: Any) -> list[CheckMessage]:
    if settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is False, but runs are compared with times in UTC.",
            hint="Set USE_TZ = True; TIME_ZONE stays as it is.",
            id="django_hookflow.E011",
        )
    ]


@register("hookflow")
def check_transport(**_: Any) -> list[CheckMessage]:
    if any(impossible()):
        return []  # said above
    try:
        return get_transport().check()
    except ImportError as error:
        return [
            Error(
                "DJANGO_HOOKFLOW_TRANSPORT is "
                f"{conf.DJANGO_HOOKFLOW_TRANSPORT!r}, which cannot be "
                f"imported: {error}",
                hint="Leave the setting out to use QStash.",
                id="django_hookflow.E006",
            )
        ]


@register("hookflow")
def check_webhook(**_: Any) -> list[CheckMessage]:
    try:
        path = public_path("django_hookflow:workflow_webhook", "id")
    except NoReverseMatch:
        return [
            Error(
                "django_hookflow.urls is not included, so no message arrives.",
                hint='Add path("hookflow/", include("django_hookflow.urls")) '
                "to your urls.py.",
                id="django_hookflow.E007",
            )
        ]
    wanted = conf.DJANGO_HOOKFLOW_WEBHOOK_PATH
    if not isinstance(wanted, str):
        return []  # check_settings says so
    expected = f"/{wanted.strip('/')}/"
    prefix = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    if path.startswith(prefix + expected.replace("//", "/")):
        return []
    return [
        CheckWarning(
            f"DJANGO_HOOKFLOW_WEBHOOK_PATH is {expected!r}, but the webhook "
            f"is at {path!r}. Messages go there.",
            hint="Make the setting and urls.py agree.",
            id="django_hookflow.W001",
        )
    ]


@register("hookflow")
def check_persistence(**_: Any) -> list[CheckMessage]:
    if conf.DJANGO_HOOKFLOW_PERSISTENCE_ENABLED:
        return []
    return [
        CheckWarning(
            "DJANGO_HOOKFLOW_PERSISTENCE_ENABLED is False and has no effect: "
            "without its rows, a lost message would be a lost run.",
            hint="Remove the setting.",
            id="django_hookflow.W002",
        )
    ]


@register("hookflow")
def check_database(**_: Any) -> list[CheckMessage]:
    vendor = connection().vendor
    if vendor in SUPPORTED:
        return []
    return [
        Error(
            f"Runs are in a database of the kind {vendor!r}, whose locks the "
            "engine does not know.",
            hint="Use PostgreSQL, or SQLite.",
            id="django_hookflow.E008",
        )
    ]


@register("hookflow")
def check_isolation(**_: Any) -> list[CheckMessage]:
    """Look at the settings only: checks of this kind may not connect."""
    django = connection()
    options = django.settings_dict["OPTIONS"]
    level = options.get("isolation_level")
    asked = ISOLATION.search(str(options.get("options", "")))
    if django.vendor != "postgresql" or (level in (None, *FIT) and not asked):
        return []
    name = asked[1] if asked else getattr(level, "name", level)
    return [_wrong_isolation(f"is asked for the isolation level {name}")]


@register(Tags.database)
def check_default_isolation(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Ask the database, as `migrate` and `check --database` do."""
    django = connection()
    if django.vendor != "postgresql" or django.alias not in (databases or ()):
        return []
    with django.cursor() as cursor:
        cursor.execute("SHOW default_transaction_isolation")
        (name,) = cursor.fetchone()
    if name in ("read committed", "read uncommitted"):
        return []
    return [_wrong_isolation(f"has the isolation level {name!r}")]


@register("hookflow")
def check_sources(**_: Any) -> list[CheckMessage]:
    """Warn of code in workflow functions that belongs into steps."""
    # Most processes ask for no check: it would take 18 ms of their start.
    from django_hookflow.inspection.mistakes import mistakes_in

    found = {
        mistake: None
        for info in get_workflow_infos()
        for mistake in mistakes_in(get_workflow(info.name, info.version))
    }
    return [
        CheckWarning(
            mistake.problem,
            hint=f"{mistake.cure} If it is meant, end the line with "
            '"# hookflow: ok".',
            obj=str(mistake.place),
            id=mistake.id,
        )
        for mistake in found
    ]


def _wrong_isolation(what: str) -> CheckMessage:
    return Error(
        f"The database of the runs {what}: an event and the run that waits "
        "for it can miss each other.",
        hint="Use PostgreSQL's default, READ COMMITTED: remove the level from "
        "OPTIONS in DATABASES, and what ALTER ROLE or ALTER DATABASE has set.",
        id="django_hookflow.E013",
    )
