"""Schedules, and the messages that they produce."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import OperationalError
from django.db import transaction
from django.db.models import QuerySet

from .. import cron
from ..conf import Config
from ..errors import ApiError
from ..errors import NotFoundError
from ..models import NEVER
from ..models import Schedule
from ..options import Options
from ..publish import Destination
from ..publish import Publication
from ..publish import drafts_of
from ..target import is_url
from . import groups
from .messages import add
from .writing import written

BATCH = 50  # schedules that produce before the next beat

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All settings of a schedule; a new plan replaces all of the old one."""

    account: str
    schedule_id: str
    destination: str
    body: bytes
    options: Options
    caller_ip: str


def get(account: str, schedule_id: str) -> Schedule:
    schedule = Schedule.objects.filter(
        account=account, schedule_id=schedule_id
    ).first()
    if schedule is None:
        raise NotFoundError("schedule", schedule_id)
    return schedule


@written
def save(plan: Plan, now: int) -> None:
    settings = {
        "cron": plan.options.cron,
        "destination": plan.destination,
        "body": plan.body,
        "options": plan.options.to_json(),
        "caller_ip": plan.caller_ip,
        "paused": False,
        "next_at": next_after(plan.options.cron, now),
        "error": "",
    }
    Schedule.objects.update_or_create(
        account=plan.account,
        schedule_id=plan.schedule_id,
        defaults=settings,
        create_defaults={**settings, "created_at": now},
    )


@written
def pause(account: str, schedule_id: str) -> None:
    schedule = get(account, schedule_id)
    Schedule.objects.filter(pk=schedule.pk).update(paused=True)


@written
def resume(account: str, schedule_id: str, now: int) -> None:
    """Continue with the next moment; skipped ones are not made up."""
    schedule = get(account, schedule_id)
    if schedule.paused:
        Schedule.objects.filter(pk=schedule.pk).update(
            paused=False, next_at=next_after(schedule.cron, now)
        )


@written
def delete(account: str, schedule_id: str) -> None:
    Schedule.objects.filter(account=account, schedule_id=schedule_id).delete()


def produce(now: int, config: Config) -> None:
    """Store the messages of the schedules that are due.

    A transaction for each: the message and the schedule's next moment commit
    together, so a crash neither loses nor repeats one.
    """
    due = Schedule.objects.filter(paused=False, next_at__lte=now)
    keys = due.order_by("next_at").values_list("pk", flat=True)
    for key in list(keys[:BATCH]):
        _produce(due.filter(pk=key), now, config)


def next_after(line: str, now: int) -> int:
    moment = cron.parse(line).after(now)
    return NEVER if moment is None else moment


@written
def _produce(due: QuerySet[Schedule], now: int, config: Config) -> None:
    """Trigger the next schedule; its errors must not stop the others."""
    schedule = due.select_for_update(skip_locked=True).first()
    if schedule is None:
        return  # changed meanwhile, or another process has it
    schedule.last_at, schedule.last_messages = now, []
    schedule.next_at, schedule.error = NEVER, ""
    try:
        with transaction.atomic():
            schedule.next_at = next_after(schedule.cron, now)
            schedule.last_messages = _add(schedule, now, config)
    except ApiError as error:  # its group is gone
        schedule.error = error.text
    except OperationalError:
        raise  # the database's trouble
    except Exception as error:
        logger.exception("Schedule %s failed", schedule.schedule_id)
        schedule.error = f"internal error: {error!r}"
    schedule.save(
        update_fields=["error", "last_at", "last_messages", "next_at"]
    )


def _add(schedule: Schedule, now: int, config: Config) -> list[str]:
    """Store the messages of one schedule; return their ids."""
    drafts = drafts_of(_publication(schedule), now, config)
    add(drafts)
    return [draft.message_id for draft in drafts]


def _publication(schedule: Schedule) -> Publication:
    options = Options.from_json(schedule.options)
    return Publication(
        account=schedule.account,
        destinations=_destinations(schedule),
        options=options,
        body=bytes(schedule.body),
        caller_ip=schedule.caller_ip,
        queue_name=options.queue,
        schedule_id=schedule.schedule_id,
    )


def _destinations(schedule: Schedule) -> tuple[Destination, ...]:
    """Return the endpoints that the group has at this trigger."""
    if is_url(schedule.destination):
        return (Destination(schedule.destination),)
    return groups.destinations(
        groups.get(schedule.account, schedule.destination)
    )
