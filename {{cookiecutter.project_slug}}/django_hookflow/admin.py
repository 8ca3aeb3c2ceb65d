"""The admin shows all rows and edits none.

Actions steer runs and replay dead letters, by the operations.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from django_hookflow.exceptions import HookflowError
from django_hookflow.models import AuditEntry
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import Question
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.control import cancel_run
from django_hookflow.operations.control import pause_run
from django_hookflow.operations.control import resume_run
from django_hookflow.operations.letters import retry_run
from django_hookflow.readonly import ReadOnly
from django_hookflow.states import StepStatus

EMPTY = "-"


def run_link(run_id: str) -> str | SafeString:
    """Return a run id as a link to its row, which may be gone."""
    if not run_id:
        return EMPTY
    runs = reverse("admin:django_hookflow_workflowrun_changelist")
    query = urlencode({"run_id": run_id})
    return format_html('<a href="{}?{}">{}</a>', runs, query, run_id)


def moment(value: datetime | None, seen_from: datetime | None = None) -> str:
    """Format a time with seconds; the date only when it is another day."""
    if value is None:
        return EMPTY
    local = timezone.localtime(value)
    if seen_from and local.date() == timezone.localtime(seen_from).date():
        return f"{local:%H:%M:%S}"
    return f"{local:%Y-%m-%d %H:%M:%S}"


def took(duration: timedelta | None) -> str:
    """Format a duration in milliseconds or seconds, without a line break."""
    if duration is None:
        return EMPTY
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.1f}\N{NO-BREAK SPACE}ms"
    return f"{seconds:,.0f}\N{NO-BREAK SPACE}s"


def pretty(value: Any) -> str | SafeString:
    """Show a value as indented JSON.

    A long one scrolls, so the keyboard must be able to reach it.
    """
    if value is None:
        return EMPTY
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A page cannot encode lone surrogates, which may come from file names.
    text = text.encode("utf-8", "backslashreplace").decode()
    return format_html(
        '<pre class="hookflow-json" tabindex="0">{}</pre>', text
    )


def failure(row: WorkflowRun | StepExecution | DeadLetterEntry) -> str:
    """Return the class of an error and its text; "" without an error."""
    return f"{row.error_type}: {row.error_message}" if row.error_type else ""


class Styled(ReadOnly):
    """The engine writes; people read.

    Rows are deleted by cleanup_workflows, or by hookflow_erase, which leaves
    open runs alone.
    """

    class Media:
        css = {"all": ("django_hookflow/admin.css",)}  # noqa: RUF012


class StepInline(Styled, admin.TabularInline):  # type: ignore[type-arg]
    model = StepExecution
    extra = 0
    can_delete = False
    fields = (
        "step_id", "kind", "status", "started", "took", "tries", "outcome",
    )  # fmt: skip
    readonly_fields = ("started", "took", "tries", "outcome")

    def started(self, step: StepExecution) -> str:
        return moment(step.started_at, step.workflow_run.created_at)

    def took(self, step: StepExecution) -> str:
        """Show how long it took, or which event and time it waits for."""
        if step.duration is not None or step.status != StepStatus.WAITING:
            return took(step.duration)
        waits = []
        if step.event_name:
            to = f" with {step.event_match}" if step.event_match else ""
            waits.append(f"for {step.event_name}{to}")
        if step.wake_at is not None:
            until = moment(step.wake_at, step.workflow_run.created_at)
            waits.append(f"until {until}")
        return " ".join(waits) or EMPTY

    @admin.display(description="attempts / deliveries")
    def tries(self, step: StepExecution) -> str:
        return f"{step.attempts} / {step.deliveries}"

    @admin.display(description="result or error")
    def outcome(self, step: StepExecution) -> str:
        if not step.error_type:
            return pretty(step.result)
        return format_html(
            '<span class="hookflow-text">{}</span>', failure(step)
        )


@admin.register(WorkflowRun)
class WorkflowRunAdmin(Styled, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "run_id", "workflow_id", "status", "created", "took_or_due",
    )  # fmt: skip
    list_filter = ("status", "workflow_id")
    search_fields = ("run_id__exact", "root_id__exact")
    actions = ("pause_runs", "resume_runs", "cancel_runs", "retry_runs")
    date_hierarchy = "created_at"
    inlines = (StepInline,)
    # The run's own fields come first, then those of the engine.
    fieldsets = (
        (None, {"fields": (
            "workflow_id", "version", "run_id", "owner", "subject",
            "belongs_to", "invoked", "status", "error", "created",
            "completed", "took", "next_message", "deadline", "tags", "input",
            "output",
        )}),
        ("Machinery", {"classes": ("collapse",), "fields": (
            "root_id", "depth", "requested", "error_step", "deliveries",
            "messages", "attempts", "crashes", "started", "claimed",
            "wake_token", "lease_token", "leased", "swept", "trace",
        )}),
    )  # fmt: skip
    readonly_fields = (
        "belongs_to", "invoked", "error", "created", "completed", "took",
        "next_message", "deadline", "tags", "input", "output", "started",
        "claimed", "leased", "swept",
    )  # fmt: skip

    @admin.display(ordering="created_at")
    def created(self, run: WorkflowRun) -> str:
        return moment(run.created_at)

    @admin.display(ordering="completed_at")
    def completed(self, run: WorkflowRun) -> str:
        return moment(run.completed_at)

    @admin.display(description="took / due")
    def took_or_due(self, run: WorkflowRun) -> str:
        if run.wake_at is None:
            return self.took(run)
        return moment(run.wake_at, run.created_at)

    def took(self, run: WorkflowRun) -> str:
        return took(run.duration)

    @admin.display(ordering="wake_at")
    def next_message(self, run: WorkflowRun) -> str:
        return moment(run.wake_at)

    def deadline(self, run: WorkflowRun) -> str:
        return moment(run.deadline_at)

    def belongs_to(self, run: WorkflowRun) -> str:
        """Show the run that waits for it, and the one that it continues."""
        parts = []
        if run.parent is not None:
            link = run_link(run.parent.run_id)
            parts.append(format_html("step {} of {}", run.parent_step, link))
        if run.origin is not None:
            link = run_link(run.origin.run_id)
            parts.append(format_html("continues {}", link))
        return (
            format_html_join(", ", "{}", [[part] for part in parts]) or EMPTY
        )

    def invoked(self, run: WorkflowRun) -> str:
        """Show the runs that its steps have started, and how they stand."""
        children = [
            (child.parent_step, run_link(child.run_id), child.status)
            for child in run.children.order_by("pk")
        ]
        return format_html_join(", ", "{}: {} {}", children) or EMPTY

    def error(self, run: WorkflowRun) -> str:
        return failure(run) or EMPTY

    @admin.display(description="attributes")
    def tags(self, run: WorkflowRun) -> str:
        return pretty(run.attributes or None)

    @admin.display(description="data")
    def input(self, run: WorkflowRun) -> str:
        return pretty(run.data)

    @admin.display(description="result")
    def output(self, run: WorkflowRun) -> str:
        return pretty(run.result)

    def started(self, run: WorkflowRun) -> str:
        return moment(run.started_at)

    def claimed(self, run: WorkflowRun) -> str:
        return moment(run.claimed_at)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Allow it to people who may change runs."""
        return request.user.has_perm("django_hookflow.change_workflowrun")

    @admin.action(description="Pause", permissions=["steer"])
    def pause_runs(
        self, request: HttpRequest, queryset: QuerySet[WorkflowRun]
    ) -> None:
        self.steer(request, queryset, pause_run, "asked to pause")

    @admin.action(description="Resume", permissions=["steer"])
    def resume_runs(
        self, request: HttpRequest, queryset: QuerySet[WorkflowRun]
    ) -> None:
        self.steer(request, queryset, resume_run, "resumed")

    @admin.action(
        description="Cancel, and undo the completed steps",
        permissions=["steer"],
    )
    def cancel_runs(
        self, request: HttpRequest, queryset: QuerySet[WorkflowRun]
    ) -> None:
        self.steer(request, queryset, cancel_run, "asked to stop")

    @admin.action(
        description="Retry behind the completed steps", permissions=["steer"]
    )
    def retry_runs(
        self, request: HttpRequest, queryset: QuerySet[WorkflowRun]
    ) -> None:
        self.steer(request, queryset, retry_run, "retried")

    def steer(
        self,
        request: HttpRequest,
        queryset: QuerySet[WorkflowRun],
        operation: Callable[..., str | None],
        done: str,
    ) -> None:
        """Do something to each run, and say what has become of it."""
        for run in queryset:
            try:
                begun = operation(run.run_id, by=request.user)
            except HookflowError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                text = f"Run {run.run_id} is {done}"
                text += f" as {begun}" if begun else ""
                self.message_user(request, text, messages.SUCCESS)

    @admin.display(description="lease until")
    def leased(self, run: WorkflowRun) -> str:
        return moment(run.lease_until)

    @admin.display(description="swept from")
    def swept(self, run: WorkflowRun) -> str:
        return moment(run.sweep_at)


@admin.register(AuditEntry)
class AuditEntryAdmin(Styled, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "created", "action", "run", "by", "before", "after", "reason",
    )  # fmt: skip
    list_filter = ("action",)
    list_select_related = ("run",)
    search_fields = ("run__run_id__exact", "by__exact")

    @admin.display(ordering="created_at")
    def created(self, entry: AuditEntry) -> str:
        return moment(entry.created_at)


@admin.register(Event)
class EventAdmin(Styled, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "name", "match", "run", "created", "consumed_by", "consumed",
    )  # fmt: skip
    list_filter = ("name",)
    list_select_related = ("run", "consumed_by")
    search_fields = ("match__exact", "event_id__exact")
    fields = (
        "name", "match", "event_id", "run", "created", "consumed_by",
        "consumed", "content",
    )  # fmt: skip
    readonly_fields = ("created", "consumed", "content")

    @admin.display(ordering="created_at")
    def created(self, event: Event) -> str:
        return moment(event.created_at)

    @admin.display(ordering="consumed_at")
    def consumed(self, event: Event) -> str:
        return moment(event.consumed_at)

    @admin.display(description="data")
    def content(self, event: Event) -> str:
        return pretty(event.data)


@admin.register(Question)
class QuestionAdmin(Styled, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "title", "status", "to_user", "to_group", "asked", "due",
        "answered_by", "answered",
    )  # fmt: skip
    list_filter = ("status", "to_group")
    search_fields = ("run__run_id__exact", "to_user__exact")
    fields = (
        "title", "description", "status", "asking_run", "step_id", "form",
        "to_user", "to_group", "asked", "due", "reminder", "answered_by",
        "answered", "via", "content",
    )  # fmt: skip
    readonly_fields = (
        "asking_run", "asked", "due", "reminder", "answered", "content",
    )  # fmt: skip

    @admin.display(description="run")
    def asking_run(self, question: Question) -> str:
        return run_link(question.run.run_id)

    @admin.display(ordering="asked_at")
    def asked(self, question: Question) -> str:
        return moment(question.asked_at)

    @admin.display(ordering="due_at")
    def due(self, question: Question) -> str:
        return moment(question.due_at)

    @admin.display(ordering="remind_at")
    def reminder(self, question: Question) -> str:
        return moment(question.remind_at)

    @admin.display(ordering="answered_at")
    def answered(self, question: Question) -> str:
        return moment(question.answered_at)

    @admin.display(description="answer")
    def content(self, question: Question) -> str:
        return pretty(question.answer)


@admin.register(DeadLetterEntry)
class DeadLetterEntryAdmin(Styled, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "run_id", "workflow_id", "error", "created", "replayed_run",
    )  # fmt: skip
    list_filter = ("is_replayed", "workflow_id", "error_type")
    search_fields = ("run_id__exact",)
    actions = ("replay_entries",)
    fieldsets = (
        (None, {"fields": (
            "workflow_id", "failed_run", "error", "created",
            "is_replayed", "replayed_run", "replayed", "letter",
        )}),
    )  # fmt: skip
    readonly_fields = (
        "failed_run", "error", "created", "replayed_run", "replayed",
        "letter",
    )  # fmt: skip

    @admin.display(ordering="created_at")
    def created(self, entry: DeadLetterEntry) -> str:
        return moment(entry.created_at)

    def replayed(self, entry: DeadLetterEntry) -> str:
        return moment(entry.replayed_at)

    @admin.display(description="run id")
    def failed_run(self, entry: DeadLetterEntry) -> str:
        return run_link(entry.run_id)

    @admin.display(description="replayed as", ordering="replayed_as")
    def replayed_run(self, entry: DeadLetterEntry) -> str:
        return run_link(entry.replayed_as)

    def error(self, entry: DeadLetterEntry) -> str:
        return failure(entry)

    @admin.display(description="payload")
    def letter(self, entry: DeadLetterEntry) -> str:
        return pretty(entry.payload)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Allow it to people who may change dead letters: it starts runs."""
        return request.user.has_perm("django_hookflow.change_deadletterentry")

    @admin.action(
        description="Replay behind the completed steps",
        permissions=["replay"],
    )
    def replay_entries(
        self, request: HttpRequest, queryset: QuerySet[DeadLetterEntry]
    ) -> None:
        for entry in queryset:
            try:
                text, level = f"Replayed as {entry.replay()}", messages.SUCCESS
            except HookflowError as error:
                text, level = str(error), messages.ERROR
            self.message_user(request, text, level)
