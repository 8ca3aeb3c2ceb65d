"""Writes the journal of one claimed run."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any

from django.db import Error
from django.db import IntegrityError
from django.db import transaction

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import LeaseLost
from django_hookflow.journal import NO_FAILURE
from django_hookflow.journal import RACER
from django_hookflow.journal import UNDO
from django_hookflow.journal import UNDO_SUFFIX
from django_hookflow.journal import Child
from django_hookflow.journal import Entry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import children
from django_hookflow.persistence import controls
from django_hookflow.persistence import database
from django_hookflow.persistence import drivers
from django_hookflow.persistence import events
from django_hookflow.persistence import questions
from django_hookflow.persistence import runs
from django_hookflow.persistence import sql
from django_hookflow.states import StepStatus


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
        statement, row = self._append_plain, self._plain(entry)
        if entry.has_row or not entry.is_plain:
            statement = self._append + (sql.REPLACE if entry.has_row else "")
            row = (*row, *self._others(entry))
        try:
            appended = self._driver.execute(statement, row + self._fence)
        except Error as error:
            # A row that we did not know of is another worker's.
            if isinstance(error, IntegrityError) or database.is_ill(error):
                raise LeaseLost from error
            raise
        if not appended:
            raise LeaseLost

    def _plain(self, entry: Entry) -> tuple[Any, ...]:
        """Return the values of STEP_COLUMNS up to PLAIN."""
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
            entry.undo,
        )


class JournalRecorder:
    """Writes the journal of one claimed run; a journal.Recorder."""

    def __init__(self, run: WorkflowRun, outbox: list[Delivery]) -> None:
        self.run = run
        self._outbox = outbox
        self.must_stop = False
        self._writer = JournalWriter(run, run.lease_token)
        self._connection = database.connection()
        # Tests may begin in one.
        self._depth = len(self._connection.atomic_blocks)

    @property
    def is_enclosed(self) -> bool:
        return len(self._connection.atomic_blocks) > self._depth

    def hold(self) -> None:
        until = self.run.lease_until
        if until is not None and clock.now() < until:
            return
        with database.fenced():
            if not runs.renew(self.run):
                raise LeaseLost

    def append(self, entry: Entry) -> None:
        if entry.kind == UNDO:
            self._append_undo(entry)
            return
        try:
            self._writer.append(entry)
        except LeaseLost as lost:
            self._append_again(entry, lost)

    def _append_again(self, entry: Entry, lost: LeaseLost) -> None:
        """Write it if our lease has another name: the request is another."""
        if lost.__cause__ is not None or not runs.learn(self.run):
            raise lost
        self.must_stop = bool(self.run.requested)
        self._writer = JournalWriter(self.run, self.run.lease_token)
        self._writer.append(entry)

    def _append_undo(self, entry: Entry) -> None:
        """Write it together with the new status of what it has undone."""
        with database.atomic():
            self._writer.append(entry)
            if entry.status == StepStatus.COMPLETED:
                StepExecution.objects.using(database.using()).filter(
                    workflow_run=self.run, step_id=entry.undoes
                ).update(status=StepStatus.COMPENSATED)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        ended = False
        try:
            with database.atomic():
                yield
                ended = True
        except Error as error:
            # An error of the block is the step's own. One of the COMMIT is
            # an answer that never came.
            if ended and database.is_ill(error):
                raise LeaseLost from error
            raise

    def children(self, step_id: str) -> list[Child]:
        with database.fenced():
            return children.of_step(self.run, step_id)

    def can_undo_children(self, step_id: str) -> bool:
        with database.fenced():
            left = children.left_to_undo(self.run, step_id + UNDO_SUFFIX)
        return bool(left)

    def stop_children(self, step_id: str) -> None:
        with database.fenced():
            with database.atomic():
                stopped = controls.cancel_of_step(self.run, step_id)
            self._outbox += stopped.follow_up()

    def consume_event(self, entry: Entry) -> Entry | None:
        return self._consume(entry, {"": entry}, lambda _, data: data)

    def consume_first(
        self, entry: Entry, waits: Mapping[str, Entry]
    ) -> Entry | None:
        return self._consume(
            entry, waits, lambda name, data: {"$tuple": [name, data]}
        )

    def _consume(
        self,
        entry: Entry,
        waits: Mapping[str, Entry],
        result: Callable[[str, Any], Any],
    ) -> Entry | None:
        with database.fenced():
            if events.next_for(self.run, waits.values()) is None:
                return None
            with database.atomic():
                consumed = events.consume(self.run, waits)
                if consumed is None:
                    return None
                name, event = consumed
                text = json.dumps(result(name, event.data))
                done = entry.ended(StepStatus.COMPLETED, clock.now(), text)
                self._append_closing(done, waits.values())
                return done

    def append_decision(self, entry: Entry, waits: Collection[Entry]) -> bool:
        if not any(one.has_row for one in waits):
            self.append(entry)
            return True
        with database.fenced(), database.atomic():
            self._append_closing(entry, waits)
            if events.next_for(self.run, waits) is None:
                return True
            transaction.set_rollback(True, database.using())
        return False

    def _append_closing(self, entry: Entry, waits: Iterable[Entry]) -> None:
        self.append(entry)
        there = [one for one in waits if one.has_row]
        if beside := [one for one in there if one.kind == RACER]:
            events.close(self.run, beside)
        questions.close(self.run, there)
