"""Every query that writes. Rows change nowhere else.

Lock order, to be kept: a dead letter, the address of an event, the event, a
parent, then a run, its steps, its questions.
"""

from __future__ import annotations

from django_hookflow.persistence import audit
from django_hookflow.persistence import commits
from django_hookflow.persistence import controls
from django_hookflow.persistence import events
from django_hookflow.persistence import forks
from django_hookflow.persistence import letters
from django_hookflow.persistence import moves
from django_hookflow.persistence import questions
from django_hookflow.persistence import retention
from django_hookflow.persistence import runs
from django_hookflow.persistence import sweeping
from django_hookflow.persistence import undos
from django_hookflow.persistence.recorder import JournalRecorder


class WorkflowPersistence:
    """The one door to the rows."""

    new_run = staticmethod(runs.new_run)
    create = staticmethod(runs.create)
    delivery_for = staticmethod(runs.delivery_for)
    claim = staticmethod(runs.claim)
    claim_beside = staticmethod(runs.beside)
    give_back = staticmethod(runs.give_back)
    park = staticmethod(runs.park)
    renew = staticmethod(runs.renew)
    commit = staticmethod(commits.commit)
    recorder = JournalRecorder
    wake = staticmethod(runs.called)
    pause = staticmethod(controls.pause)
    resume = staticmethod(controls.resume)
    cancel = staticmethod(controls.cancel)
    move = staticmethod(moves.move)
    send_event = staticmethod(events.send)
    broadcast = staticmethod(events.broadcast)
    pass_over = staticmethod(events.pass_over)
    state_of = staticmethod(audit.state_of)
    is_hidden = staticmethod(audit.is_hidden)
    note = staticmethod(audit.note)
    letter_of = staticmethod(letters.key_of)
    question = staticmethod(questions.get)
    hold_question = staticmethod(questions.hold)
    answer_question = staticmethod(questions.answer)
    assign_question = staticmethod(questions.assign)
    due_questions = staticmethod(questions.due)
    retry = staticmethod(letters.retry)
    origin_of = staticmethod(forks.origin_of)
    fork = staticmethod(forks.fork)
    failed_undo = staticmethod(undos.failed)
    waive = staticmethod(undos.waive)
    sweep = staticmethod(sweeping.sweep)
    look_again = staticmethod(sweeping.look_again)
    clear_backoff = staticmethod(sweeping.clear_backoff)
    overdue_count = staticmethod(sweeping.overdue_count)
    overdue_seconds = staticmethod(sweeping.overdue_seconds)
    expired = staticmethod(retention.expired)
    erase = staticmethod(retention.erase)
    delete_expired = staticmethod(retention.delete)
