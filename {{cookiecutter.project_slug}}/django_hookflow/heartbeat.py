"""Keeps the leases of this process alive while its steps work.

One thread for all of them, with a connection of its own; it starts with the
first long delivery and ends when there is none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.signals import setting_changed
from django.db import Error

from django_hookflow import clock
from django_hookflow.conf import conf
from django_hookflow.journal import Failure
from django_hookflow.models import WorkflowRun
from django_hookflow.persistence import WorkflowPersistence
from django_hookflow.persistence.database import connection
from django_hookflow.tracing import Work

logger = logging.getLogger("django_hookflow")

_held: dict[str, tuple[WorkflowRun, Work]] = {}
_left: dict[str, str] = {}  # run_id by the token of a lease to give back
MOST_LEFT = 1000  # the oldest are forgotten, and count as crashes
_changed = threading.Condition()
_thread: threading.Thread | None = None


@contextmanager
def beating(run: WorkflowRun, work: Work) -> Iterator[None]:
    """Renew the lease of `run` for the length of the block.

    Not while a step has taken longer than its timeout: then the lease ends,
    and another delivery takes over from a step that hangs.
    """
    token = run.lease_token  # its name may change
    with _changed:
        _held[token] = run, work
        _ensure_thread()
    try:
        yield
    finally:
        with _changed:
            _held.pop(token, None)


def give_back(run_id: str, token: str, error: BaseException) -> None:
    """End a lease because the database failed, which is not a crash.

    Where that cannot be written either, each beat tries again.
    """
    failure = Failure(
        type=type(error).__name__,
        message=f"The journal could not be written: {error}. The run goes on "
        "when the database can be written to again.",
    )
    try:
        connection().close_if_unusable_or_obsolete()
        WorkflowPersistence.give_back(run_id, token, failure)
    except Error as again:
        logger.warning("%s keeps a lease that ended: %s", run_id, again)
        with _changed:
            _left[token] = run_id
            while len(_left) > MOST_LEFT:
                _left.pop(next(iter(_left)))
            _ensure_thread()


def _ensure_thread() -> None:
    global _thread
    if _thread is None or not _thread.is_alive():
        _thread = threading.Thread(
            target=_beat, name="hookflow-heartbeat", daemon=True
        )
        _thread.start()


def _beat() -> None:
    """Renew every third of a lease; end when nothing was held for one."""
    while _wait():
        try:
            _renew_all()
            _give_back_all()
        finally:
            connection().close()  # the next beat is minutes away


def _look_again(**_: object) -> None:
    """Another lease is another pace."""
    with _changed:
        _changed.notify()


setting_changed.connect(_look_again)


def _wait() -> bool:
    global _thread
    with _changed:
        _changed.wait(conf.DJANGO_HOOKFLOW_LEASE / 3)
        is_needed = bool(_held or _left)
        if not is_needed:
            _thread = None
        return is_needed


def _renew_all() -> None:
    with _changed:
        held = list(_held.values())
    for run, work in held:
        if work.limit is not None and clock.now() >= work.limit:
            continue
        try:
            WorkflowPersistence.renew(run)
        except Error as error:
            # On SQLite an atomic step is the only writer until it ends. The
            # next beat tries again, with a new connection.
            logger.warning("%s keeps its old lease: %s", run.run_id, error)
            connection().close()


def _give_back_all() -> None:
    with _changed:
        left = list(_left.items())
    for token, run_id in left:
        try:
            WorkflowPersistence.give_back(run_id, token, None)
        except Error:
            connection().close()
            return
        with _changed:
            _left.pop(token, None)
