"""/v2/schedules: messages by the clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import cron
from ..conf import Config
from ..errors import BadRequestError
from ..errors import QuotaError
from ..ids import new_id
from ..models import NEVER
from ..models import Message
from ..models import Schedule
from ..models import State
from ..options import Options
from ..options import parse_options
from ..publish import check_destination
from ..replies import Reply
from ..replies import answer
from ..replies import done
from ..service import Call
from ..store import schedules
from ..store.schedules import Plan
from ..views import body_view
from ..views import headers_view
from ..views import option_fields
from ..views import present
from .publishing import addresses
from .publishing import asked_of
from .publishing import check_options
from .publishing import check_queues
from .publishing import with_defaults

PREFIX = "/v2/schedules/"
MAX_CRON_LENGTH = 256  # of a cron line, as wide as its column
STATES = {
    State.DELIVERED: "SUCCESS",
    State.FAILED: "FAIL",
    State.CANCELED: "FAIL",  # clients know no word of its own for it
}


def create(call: Call) -> Reply:
    """Create a schedule, or replace the one with its id."""
    asked = asked_of(call, PREFIX)
    destination = check_destination(asked.destination, call.service.guard)
    _, defaults = addresses(call.account, destination)
    options = parse_options(with_defaults(defaults, asked), asked.parameters)
    # A moment has no meaning for something that repeats.
    options = replace(options, not_before=None)
    _check_cron(options.cron, call.now)
    check_options(call, options, call.request.body)
    check_queues(call, [options.queue])
    schedule_id = options.schedule_id or new_id("scd")
    _check_quota(call, schedule_id)
    plan = Plan(
        account=call.account,
        schedule_id=schedule_id,
        destination=destination,
        body=call.request.body,
        options=options,
        caller_ip=call.request.client,
    )
    schedules.save(plan, call.now)
    call.service.wake_dispatcher()
    return answer({"scheduleId": schedule_id})


def list_all(call: Call) -> Reply:
    rows = Schedule.objects.filter(account=call.account).order_by("pk")
    return answer([_view(row) for row in rows])


def get(call: Call) -> Reply:
    return answer(_view(schedules.get(call.account, call.names[0])))


def delete(call: Call) -> Reply:
    schedules.delete(call.account, call.names[0])
    return done()


def pause(call: Call) -> Reply:
    schedules.pause(call.account, call.names[0])
    return done()


def resume(call: Call) -> Reply:
    schedules.resume(call.account, call.names[0], call.now)
    call.service.wake_dispatcher()
    return done()


def _check_cron(line: str, now: int) -> None:
    if len(line) > MAX_CRON_LENGTH:
        raise BadRequestError(
            f"upstash-cron: over {MAX_CRON_LENGTH} characters"
        )
    try:
        moment = cron.parse(line).after(now)
    except cron.CronError as error:
        raise BadRequestError(f"upstash-cron: {line!r}: {error}") from error
    if moment is None:
        raise BadRequestError(f"upstash-cron: {line!r} never comes")


def _check_quota(call: Call, schedule_id: str) -> None:
    most = call.service.config.quotas.max_schedules
    others = Schedule.objects.filter(account=call.account).exclude(
        schedule_id=schedule_id
    )
    if others.count() >= most:
        raise QuotaError("maxSchedules", most)


def _view(schedule: Schedule) -> dict[str, Any]:
    options = Options.from_json(schedule.options)
    retries = options.retries
    if retries is None:
        retries = Config.default_retries
    return {
        "scheduleId": schedule.schedule_id,
        "cron": schedule.cron,
        "createdAt": schedule.created_at,
        "destination": schedule.destination,
        "method": options.method,
        "retries": retries,
        "isPaused": schedule.paused,
        **body_view(bytes(schedule.body), options.redaction),
        **present(_optional(schedule, options)),
        **option_fields(options),
    }


def _optional(schedule: Schedule, options: Options) -> dict[str, Any]:
    """Return the optional fields that are set (choice 32)."""
    callback, failure = options.callback, options.failure_callback
    return {
        "header": headers_view(options.headers, options.redaction),
        "delay": (options.delay // 1000) or None,
        "callback": callback.url if callback else "",
        "failureCallback": failure.url if failure else "",
        "callerIP": schedule.caller_ip,
        "queueName": options.queue,
        "retryDelayExpression": options.retry_delay,
        "timeout": options.timeout,
        "lastScheduleTime": schedule.last_at,
        "nextScheduleTime": _shown(schedule),
        "lastScheduleStates": _states(schedule.last_messages),
        "error": schedule.error,
    }


def _shown(schedule: Schedule) -> int | None:
    hidden = schedule.paused or schedule.next_at == NEVER
    return None if hidden else schedule.next_at


def _states(message_ids: list[str]) -> dict[str, str]:
    rows = Message.objects.filter(message_id__in=message_ids)
    return {
        message_id: STATES.get(State(state), "IN_PROGRESS")
        for message_id, state in rows.values_list("message_id", "state")
    }
