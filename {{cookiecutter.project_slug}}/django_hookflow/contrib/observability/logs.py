"""Log records with the ids of their request and run, as lines or as JSON.

`ContextFilter` on a handler adds to each record the ids of its thread's work:
the request, and the run, delivery, step and attempt. `JsonFormatter` writes a
record as one object on one line.
"""

from __future__ import annotations

import json
import logging
import math
from contextvars import ContextVar
from datetime import UTC
from datetime import datetime
from typing import Any

from django_hookflow.tracing import Work
from django_hookflow.tracing import current

# The id of the request that this thread answers; empty outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="")

IDS = (
    "request_id",
    "workflow_id",
    "run_id",
    "delivery",
    "step_id",
    "attempt",
)

# The attributes of every record; all others were given as `extra`. Django
# gives the request, which is not data.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "asctime",
    "message",
    "request",
    "taskName",
}

MAX_DEPTH = 6  # of the objects in an extra that are written as JSON


class ContextFilter(logging.Filter):
    """Gives records the ids in IDS that are known and not given as extra."""

    def filter(self, record: logging.LogRecord) -> bool:
        known = vars(record)
        known.setdefault("request_id", request_id.get())
        work = current()
        # A record about another run, such as one that a step triggers, does
        # not belong to the step.
        if work is not None and known.get("run_id") in (None, work.run.run_id):
            for name, value in _ids(work).items():
                known.setdefault(name, value)
        return True


class JsonFormatter(logging.Formatter):
    """Writes a record as one object on one line, with any content.

    `time` (UTC), `level`, `logger`, `message`, the ids in IDS, `exc_info` and
    `stack_info` as text, then the `extra` of the call.
    """

    def format(self, record: logging.LogRecord) -> str:
        try:
            return json.dumps(_plain(self._fields(record)))
        except Exception as error:
            # A short line is better than none.
            return json.dumps(
                {
                    "level": record.levelname,
                    "message": f"unloggable: {error!r}",
                }
            )

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        given = vars(record)
        fields = {
            "time": _time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        fields |= {name: given[name] for name in IDS if given.get(name)}
        if record.exc_info and record.exc_info[0]:
            fields["exc_info"] = self.formatException(record.exc_info)
        elif record.exc_text:
            fields["exc_info"] = record.exc_text
        if record.stack_info:
            fields["stack_info"] = record.stack_info
        extras = given.keys() - STANDARD - fields.keys() - set(IDS)
        return fields | {name: given[name] for name in sorted(extras)}


def _ids(work: Work) -> dict[str, Any]:
    ids: dict[str, Any] = {
        "workflow_id": work.run.workflow_id,
        "run_id": work.run.run_id,
        "delivery": work.run.deliveries,
    }
    if work.step is not None:
        ids |= {"step_id": work.step.step_id, "attempt": work.step.attempts}
    return ids


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # Its arguments do not fit the text: show both.
        return f"{_text(record.msg)} {_text(record.args)}"


def _plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return `value` for JSON; types that JSON lacks become text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if depth and isinstance(value, dict):
        return {
            key if isinstance(key, str) else _text(key): _plain(v, depth - 1)
            for key, v in value.items()
        }
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth - 1) for item in value]
    return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be shown>"
