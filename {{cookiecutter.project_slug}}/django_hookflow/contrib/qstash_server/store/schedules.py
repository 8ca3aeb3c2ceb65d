"""Schedules, and the messages that they produce."""

from __future__ import annotations

from dataclasses import dataclass

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
from .writing import writing

BATCH = 50  # schedules that produce in one beat


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
    with writing():
        Schedule.objects.update_or_create(
            account=plan.account,
            schedule_id=plan.schedule_id,
            defaults=settings,
            create_defaults={**settings, "created_at": now},
        )


def pause(account: str, schedule_id: str) -> None:
    with writing():
        schedule = get(account, schedule_id)
        Schedule.objects.filter(pk=schedule.pk).update(paused=True)


def resume(account: str, schedule_id: str, now: int) -> None:
    """Go on with the next moment; what was skipped is not made up."""
    with writing():
        schedule = get(account, schedule_id)
        if schedule.paused:
            Schedule.objects.filter(pk=schedule.pk).update(
                paused=False, next_at=next_after(schedule.cron, now)
            )


def delete(account: str, schedule_id: str) -> None:
    with writing():
        Schedule.objects.filter(
            account=account, schedule_id=schedule_id
        ).delete()


def produce(now: int, config: Config) -> None:
    """Store the messages of the schedules that are due.

    Inside the transaction of the caller: the message and the schedule's
    next moment commit together, so a crash neither loses nor doubles one.
    """
    due = (
        Schedule.objects.filter(paused=False, next_at__lte=now)
        .order_by("next_at")
        .select_for_update(skip_locked=True)
    )
    for schedule in due[:BATCH]:
        _produce(schedule, now, config)


def next_after(line: str, now: int) -> int:
    moment = cron.parse(line).after(now)
    return NEVER if moment is None else moment


def _produce(schedule: Schedule, now: int, config: Config) -> None:
    ids: list[str] = []
    schedule.error = ""
    try:
        drafts = drafts_of(_publication(schedule), now, config)
        add(drafts)
        ids = [draft.message_id for draft in drafts]
    except ApiError as error:  # its group is gone
        schedule.error = error.text
    schedule.last_at, schedule.last_messages = now, ids
    schedule.next_at = next_after(schedule.cron, now)
    schedule.save(
        update_fields=["error", "last_at", "last_messages", "next_at"]
    )


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
    """A group's endpoints are those of the moment of the trigger."""
    if is_url(schedule.destination):
        return (Destination(schedule.destination),)
    return groups.destinations(
        groups.get(schedule.account, schedule.destination)
    )
