"""The rows: runs, their steps, events, questions; dead letters are in dlq.py.

Only the package persistence writes them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from typing import ClassVar
from typing import Self

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F
from django.db.models import Q

from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.exceptions import CompensationFailed
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import StepTimeout
from django_hookflow.fields import JSONTextField
from django_hookflow.fields import RowIdField
from django_hookflow.journal import ANSWER
from django_hookflow.journal import CONTINUED_AS
from django_hookflow.reading import HIDE
from django_hookflow.reading import RunManager
from django_hookflow.states import TERMINAL
from django_hookflow.states import QuestionStatus
from django_hookflow.states import Request
from django_hookflow.states import RunStatus
from django_hookflow.states import StepStatus

# Statuses of a step whose column `executed_at` is NULL.
NOT_YET = (StepStatus.PENDING, StepStatus.RUNNING, StepStatus.WAITING)

# A run that waits until it is woken, or its deadline ends it.
ENDLESS = Q(wake_at=None) | Q(wake_at=F("deadline_at"))

__all__ = [
    "AuditEntry",
    "DeadLetterEntry",
    "Event",
    "Question",
    "StepExecution",
    "WorkflowRun",
]


class WorkflowRun(models.Model):
    """One execution of a workflow."""

    run_id = models.CharField(max_length=255)
    workflow_id = models.CharField(max_length=255)
    # Of its workflow: the one that it began with.
    version = models.PositiveIntegerField(default=1)
    # Whose run it is: the key of a user, as text; empty is none.
    owner = models.CharField(max_length=255, blank=True, default="")
    # The row that it is about, such as "shop.order:7"; null is none, which
    # keeps it out of the index.
    subject = models.CharField(  # noqa: DJ001
        max_length=255, null=True, blank=True
    )
    # The run whose name the idempotency keys carry: the first of its replays.
    root_id = models.CharField(max_length=255)
    # The failed run that this one goes on for, the one that ended with
    # continue_as_new, or the run it is a fork of.
    origin = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True,
        related_name="retries", db_index=False,
    )  # fmt: skip
    # The run that waits for this one, and the step in which it does.
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True,
        related_name="children", db_index=False,
    )  # fmt: skip
    parent_step = models.CharField(max_length=255, blank=True, default="")
    # Which branch of that step it is, from 0, if the step has several.
    branch = models.PositiveIntegerField(default=0)
    # True if it is one of the branches that may be at work at once, false if
    # it waits for its turn or has passed that on; null is not a branch.
    has_ticket = models.BooleanField(null=True, blank=True)
    # How many runs stand above it; 0 was triggered.
    depth = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(
        max_length=16, choices=RunStatus.choices, default=RunStatus.PENDING
    )
    data = JSONTextField()
    result = JSONTextField(null=True)
    error_type = models.CharField(max_length=255, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    # The step that the error comes from; empty is the function itself.
    error_step = models.CharField(max_length=255, blank=True, default="")

    # Names the one message that may move the run; rotated at every commit.
    wake_token = models.CharField(max_length=32)
    # When that message is due; null while none is.
    wake_at = models.DateTimeField(null=True, blank=True)
    # When it fails if it has not ended; null is never.
    deadline_at = models.DateTimeField(null=True, blank=True)
    # Names the delivery that may write; empty while there is none.
    lease_token = models.CharField(max_length=40, blank=True, default="")
    # Until when no other delivery may take over.
    lease_until = models.DateTimeField(null=True, blank=True)
    # From when the sweeper may act; null while nothing is due.
    sweep_at = models.DateTimeField(null=True, blank=True)
    # What it is asked to become at the end of the step under way.
    requested = models.CharField(
        max_length=16, choices=Request.choices, blank=True, default=""
    )

    # Failures of the function outside its steps since it last got on.
    attempts = models.PositiveIntegerField(default=0)
    # Deliveries in a row that died without an answer, since a step was
    # recorded last.
    crashes = models.PositiveIntegerField(default=0)
    # Deliveries that claimed the run, and messages that asked for one.
    deliveries = models.PositiveIntegerField(default=0)
    messages = models.PositiveIntegerField(default=1)
    # What the function has set about itself, to find and to show it by.
    attributes = models.JSONField(blank=True, default=dict)
    # JSON of what the tracers carry from its trigger to its deliveries.
    trace = models.TextField(blank=True, default="")

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    # When the last delivery took the lease.
    claimed_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[RunManager[Self]] = RunManager()

    # Those of a claimed run as its row has them, to see whether they changed.
    attributes_before: dict[str, Any]

    class Meta:
        ordering = ("-created_at", "-id")
        # Beside those of Django: data, results and events are not for all
        # who may see how a run goes.
        permissions = (("view_payloads", "Can see the payloads of runs"),)
        # Not unique=True, which adds a second index on PostgreSQL.
        constraints = (
            models.UniqueConstraint(
                name="hookflow_one_run_per_id", fields=["run_id"]
            ),
            models.UniqueConstraint(
                name="hookflow_one_run_per_branch",
                fields=["parent", "parent_step", "branch"],
                condition=Q(parent__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=["-created_at", "-id"]),
            models.Index(fields=["workflow_id", "status"]),
            models.Index(fields=["status", "completed_at"]),
            models.Index(name="hookflow_of_owner", fields=["owner", "-id"]),
            models.Index(
                name="hookflow_of_subject",
                fields=["subject", "-id"],
                condition=Q(subject__isnull=False),
            ),
            models.Index(
                name="hookflow_overdue",
                fields=["sweep_at"],
                condition=Q(sweep_at__isnull=False),
            ),
            models.Index(
                name="hookflow_retried",
                fields=["origin"],
                condition=Q(origin__isnull=False),
            ),
            # The next branch, and whether there is one left.
            models.Index(
                name="hookflow_open_branches",
                fields=["parent", "parent_step", "branch"],
                condition=Q(has_ticket__isnull=False, completed_at=None),
            ),
            # On SQLite an index of the texts, which no query uses.
            GinIndex(
                name="hookflow_attributes",
                fields=["attributes"],
                opclasses=["jsonb_path_ops"],
                condition=~Q(attributes={}),
            ),
            # Waiting without a time limit: when each was replayed last.
            models.Index(
                name="hookflow_timeless",
                fields=["claimed_at"],
                condition=Q(ENDLESS, status=RunStatus.WAITING),
            ),
        )

    def __str__(self) -> str:
        return f"{self.workflow_id} {self.run_id}"

    @property
    def is_branch(self) -> bool:
        """True if its function is a part of that of its parent."""
        return self.has_ticket is not None

    @property
    def is_finished(self) -> bool:
        """True when nothing will change the run any more."""
        return self.status in TERMINAL

    @property
    def is_held_back(self) -> bool:
        """True for a branch whose turn has not come yet."""
        return self.has_ticket is False and self.started_at is None

    @property
    def is_retry(self) -> bool:
        """True if it goes on for its origin, which failed."""
        return self.origin_id is not None and self.root_id != self.run_id

    @property
    def is_continuation(self) -> bool:
        """True if its origin did not fail, but goes on as this one."""
        origin = None if self.is_retry else self.origin
        return origin is not None and origin.continued_as == self.run_id

    @property
    def continued_as(self) -> str:
        """The run that goes on for it by continue_as_new; empty is none."""
        is_one = self.status == RunStatus.COMPLETED
        found = self.result if is_one and isinstance(self.result, dict) else {}
        return str(found.get(CONTINUED_AS, ""))

    @property
    def is_fork(self) -> bool:
        """True when it is a run of its own that began as a copy of another."""
        is_other = self.is_retry or self.is_continuation
        return self.origin_id is not None and not is_other

    @property
    def rollback_failed(self) -> bool:
        """True when some of its steps could not be undone."""
        return self.error_type == CompensationFailed.__name__

    @property
    def duration(self) -> timedelta | None:
        """The time from the trigger to the end; None while it is open."""
        if self.completed_at is None:
            return None
        return self.completed_at - self.created_at


class StepExecution(models.Model):
    """One step of a run: an entry of its journal."""

    id = RowIdField(primary_key=True)
    # Without an index of its own: that of the constraint begins with it.
    workflow_run = models.ForeignKey(
        WorkflowRun, models.CASCADE, related_name="step_executions",
        db_index=False,
    )  # fmt: skip
    step_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=32)
    status = models.CharField(max_length=16, choices=StepStatus.choices)
    position = models.PositiveIntegerField()
    result = JSONTextField(null=True)
    attempts = models.PositiveIntegerField(default=1)
    deliveries = models.PositiveIntegerField(default=1)
    # When it was first reached, and when it was recorded for ever.
    started_at = models.DateTimeField(null=True, blank=True)
    executed_at = models.DateTimeField(null=True, blank=True)
    # What follows stays empty in most steps, so the database knows that.
    error_type = models.CharField(
        max_length=255, blank=True, default="", db_default=""
    )
    error_message = models.TextField(blank=True, default="", db_default="")
    # While it waits: until when, and for which event.
    wake_at = models.DateTimeField(null=True, blank=True)
    event_name = models.CharField(
        max_length=255, blank=True, default="", db_default=""
    )
    event_match = models.CharField(
        max_length=255, blank=True, default="", db_default=""
    )
    # How it is undone: "module:function", or "body" when only the workflow
    # function can tell; empty when there is nothing to undo.
    undo = models.CharField(
        max_length=255, blank=True, default="", db_default=""
    )

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(
                name="hookflow_one_entry_per_step",
                fields=["workflow_run", "step_id"],
            ),
        )
        indexes = (
            models.Index(
                name="hookflow_waiting_for_event",
                fields=["event_name", "event_match", "id"],
                condition=Q(status=StepStatus.WAITING) & ~Q(event_name=""),
            ),
        )

    def __str__(self) -> str:
        return self.step_id

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """A step that waits was executed, so far, when it was first reached.

        Its column is NULL, but every view that shows steps would have to
        know that and few do: `step.executed_at.isoformat()` works for all.
        """
        step = super().from_db(*args, **kwargs)
        loaded = step.__dict__
        if loaded.get("executed_at", step) is None and "started_at" in loaded:
            step.executed_at = step.started_at
        return step

    @property
    def duration(self) -> timedelta | None:
        """From when it was first reached until it was recorded."""
        if self.status in NOT_YET:
            return None
        if self.started_at is None or self.executed_at is None:
            return None
        return self.executed_at - self.started_at

    @property
    def timed_out(self) -> bool:
        """True when it waited, and what it waited for did not come in time."""
        return self.error_type in (EventTimeout.__name__, StepTimeout.__name__)


class Event(models.Model):
    """A message to one run, or to a run that waits for `match`."""

    name = models.CharField(max_length=255)
    run = models.ForeignKey(
        WorkflowRun, models.CASCADE, null=True, blank=True,
        related_name="events",
    )  # fmt: skip
    match = models.CharField(max_length=255, blank=True, default="")
    data = JSONTextField(null=True)
    # The sender's own id of it: the same one again is the same event.
    event_id = models.CharField(max_length=255)
    created_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True, blank=True)
    consumed_by = models.ForeignKey(
        WorkflowRun, models.CASCADE, null=True, blank=True,
        related_name="consumed_events",
    )  # fmt: skip

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                name="hookflow_event_once", fields=["name", "event_id"]
            ),
        )
        indexes = (
            models.Index(
                name="hookflow_event_unconsumed",
                fields=["name", "match"],
                condition=Q(consumed_at__isnull=True),
            ),
            models.Index(fields=["created_at"]),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.match}".strip()


class AuditEntry(models.Model):
    """Something that a person or a program has done to a run."""

    run = models.ForeignKey(
        WorkflowRun, models.CASCADE, related_name="audit_entries"
    )
    # pause, resume, cancel, retry, fork, waive, hide or event
    action = models.CharField(max_length=32)
    # The key of a user, or a text; empty when it was not said.
    by = models.CharField(max_length=255, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    # How the run stood, and stands; or the id of the run that was begun.
    before = models.CharField(max_length=255)
    after = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "audit entries"
        indexes = (
            # Lists leave these runs out.
            models.Index(
                name="hookflow_hidden",
                fields=["run"],
                condition=Q(action=HIDE),
            ),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.before}: {self.after}"


class Question(models.Model):
    """A question of a run to people; its step waits for the answer."""

    run = models.ForeignKey(
        WorkflowRun, models.CASCADE, related_name="questions", db_index=False
    )
    step_id = models.CharField(max_length=255)
    status = models.CharField(
        max_length=16, choices=QuestionStatus.choices,
        default=QuestionStatus.OPEN,
    )  # fmt: skip
    title = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="")
    # "module:class" of the form, serializer or type that checks the answer.
    form = models.CharField(max_length=255, blank=True, default="")
    # Who is asked: the key of a user as text, or the name of a group.
    to_user = models.CharField(max_length=255, blank=True, default="")
    to_group = models.CharField(max_length=255, blank=True, default="")
    asked_at = models.DateTimeField()
    # When it expires; null is never.
    due_at = models.DateTimeField(null=True, blank=True)
    # When people are told again; null is never.
    remind_at = models.DateTimeField(null=True, blank=True)
    # The times at which they are, and the group it goes to then, or "".
    plan = JSONTextField(default=list)
    answer = JSONTextField(null=True)
    answered_by = models.CharField(max_length=255, blank=True, default="")
    answered_at = models.DateTimeField(null=True, blank=True)
    # Where the answer came from, for people.
    via = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        ordering = ("id",)
        permissions = (("answer_any_question", "Can answer any question"),)
        constraints = (
            models.UniqueConstraint(
                name="hookflow_one_question_per_step",
                fields=["run", "step_id"],
            ),
        )
        indexes = (
            models.Index(fields=["to_user", "status", "due_at"]),
            models.Index(fields=["to_group", "status", "due_at"]),
            models.Index(
                name="hookflow_remind",
                fields=["remind_at"],
                condition=Q(remind_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.title

    @property
    def event_name(self) -> str:
        """The event that its step waits for."""
        return ANSWER + self.step_id
