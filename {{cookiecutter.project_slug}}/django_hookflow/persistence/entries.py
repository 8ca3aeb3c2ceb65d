"""The journal in the database."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from typing import TypeAlias

from django.db import Error
from django.db import IntegrityError

from django_hookflow.exceptions import LeaseLost
from django_hookflow.journal import Entry
from django_hookflow.journal import Failure
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import database
from django_hookflow.persistence import drivers
from django_hookflow.persistence import sql
from django_hookflow.states import StepStatus

ReadTime: TypeAlias = Callable[[str | None], datetime | None]

STATUSES = {status.value: status for status in StepStatus}
NO_FAILURE = Failure(type="", message="")


class JournalWriter:
    """Appends to the journal of a run while its lease token is this.

    What is the same for all entries is found once.
    """

    def __init__(self, run: WorkflowRun, lease_token: str) -> None:
        self._driver = drivers.driver()
        self._fence = (run.pk, lease_token)
        self._append = sql.APPEND + self._driver.lock
        self._append_plain = sql.APPEND_PLAIN + self._driver.lock

    def append(self, entry: Entry) -> None:
        """Write it, or raise LeaseLost."""
        statement, row = self._statement(entry)
        try:
            appended = self._driver.execute(statement, row + self._fence)
        except Error as error:
            # A row that we did not know of is another worker's.
            if isinstance(error, IntegrityError) or database.is_ill(error):
                raise LeaseLost from error
            raise
        if not appended:
            raise LeaseLost

    def _statement(self, entry: Entry) -> tuple[str, tuple[Any, ...]]:
        """What writes the entry, and the values of its columns."""
        if entry.is_plain and not entry.is_kept:
            return self._append_plain, self._plain(entry)
        replace = sql.REPLACE if entry.is_kept else ""
        row = (*self._plain(entry), *self._others(entry))
        return self._append + replace, row

    def _plain(self, entry: Entry) -> tuple[Any, ...]:
        """The values of STEP_COLUMNS up to PLAIN."""
        return (
            entry.step_id,
            entry.kind,
            entry.status._value_,  # drivers are slow with enums
            entry.position,
            entry.result,
            entry.attempts,
            entry.deliveries,
            self._driver.time(entry.started_at),
            self._driver.time(entry.executed_at),
        )

    def _others(self, entry: Entry) -> tuple[Any, ...]:
        failure = entry.failure or NO_FAILURE
        return (
            failure.type,
            failure.message,
            self._driver.time(entry.wake_at),
            entry.event_name,
            entry.event_match,
        )


def read(run: WorkflowRun) -> Iterator[Entry]:
    """The journal of a run, in order.

    Results stay text: a replay decodes one when it comes to it.
    """
    with database.connection().cursor() as cursor:
        cursor.execute(sql.JOURNAL, [run.pk])
        rows = cursor.fetchall()
    read_time = drivers.driver().read_time
    return (_entry(row, read_time) for row in rows)


def _entry(row: tuple[Any, ...], read_time: ReadTime) -> Entry:
    (
        step_id, kind, status, position, result, attempts, deliveries,
        started_at, executed_at, error_type, error_message, wake_at,
        event_name, event_match,
    ) = row  # fmt: skip
    is_kept = True
    # By position, which takes half the time that names do.
    return Entry(
        step_id,
        kind,
        STATUSES[status],
        position,
        result,
        _failure(error_type, error_message),
        attempts,
        deliveries,
        read_time(started_at),
        read_time(executed_at),
        read_time(wake_at),
        event_name,
        event_match,
        is_kept,
    )


def _failure(kind: str, message: str) -> Failure | None:
    return Failure(type=kind, message=message) if kind else None
