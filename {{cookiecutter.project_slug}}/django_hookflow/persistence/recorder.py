"""Writes the journal of one claimed run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error

from django_hookflow import clock
from django_hookflow.exceptions import LeaseLost
from django_hookflow.journal import Child
from django_hookflow.journal import Entry
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import children
from django_hookflow.persistence import database
from django_hookflow.persistence import entries
from django_hookflow.persistence import events
from django_hookflow.persistence import runs


class JournalRecorder:
    """Writes the journal of one claimed run; a journal.Recorder."""

    def __init__(self, run: WorkflowRun) -> None:
        self.run = run
        self._writer = entries.JournalWriter(run, run.lease_token)
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
        self._writer.append(entry)

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

    def child(self, step_id: str) -> Child | None:
        with database.fenced():
            return children.of_step(self.run, step_id)

    def consume_event(self, entry: Entry) -> Entry | None:
        with database.fenced():
            if events.next_for(self.run, entry) is None:
                return None
            with database.atomic():
                received = events.consume(self.run, entry)
                if received is not None:
                    self.append(received)
                return received
