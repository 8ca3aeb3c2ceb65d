"""`ctx.patched`: whether a run is younger than a change of its function.

The answer yes is an entry of the journal, so that it stays. The answer no
follows from the journal: the run had come further when it was asked first.
"""

from __future__ import annotations

from django_hookflow import clock
from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import StepCompleted
from django_hookflow.journal import PATCH
from django_hookflow.journal import PATCH_SUFFIX
from django_hookflow.journal import Entry
from django_hookflow.names import NAME_LENGTH
from django_hookflow.names import is_name
from django_hookflow.states import StepStatus
from django_hookflow.steps.session import Session
from django_hookflow.steps.session import enclosed


def is_patched(session: Session, change_id: str) -> bool:
    """Return the same answer for ever, from when a run is first asked."""
    session.enter(change_id)
    _refuse_bad_name(change_id)
    known = session.patches.get(change_id)
    if known is None:
        known = session.patches[change_id] = _answer(session, change_id)
    return known


def _answer(session: Session, change_id: str) -> bool:
    marker = session.journal.get(change_id + PATCH_SUFFIX)
    if marker is None:
        if session.is_replaying:
            return False
        marker = _record(session, change_id)
    session.pass_marker(marker)
    return True


def _record(session: Session, change_id: str) -> Entry:
    if session.rolls_back:
        session.suspend(StepCompleted())
    if session.recorder.is_enclosed:
        raise enclosed(change_id)
    now = clock.now()
    entry = Entry(
        step_id=change_id + PATCH_SUFFIX,
        kind=PATCH,
        status=StepStatus.COMPLETED,
        position=session.journal.end,
        started_at=now,
        executed_at=now,
    )
    session.append(entry)
    session.journal.add(entry)
    return entry


def _refuse_bad_name(change_id: str) -> None:
    longest = NAME_LENGTH - len(PATCH_SUFFIX)
    is_good = isinstance(change_id, str) and is_name(change_id)
    if not is_good or len(change_id) > longest:
        raise MisusedStep(
            str(change_id),
            "was given to ctx.patched as the name of a change",
            f"Use text of 1 to {longest} characters, without control "
            "characters and line breaks.",
        )
