"""Everything to look at, nothing to edit; dead letters can be replayed."""

from __future__ import annotations

from django.contrib import admin
from django.contrib import messages
from django.db.models import Model
from django.db.models import QuerySet
from django.http import HttpRequest

from django_hookflow.exceptions import HookflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun


class ReadOnly:
    """The engine writes; people read."""

    def has_add_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


class StepInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = StepExecution
    extra = 0
    can_delete = False
    fields = (
        "step_id", "kind", "status", "attempts", "deliveries", "started_at",
        "executed_at", "wake_at", "result", "error_message",
    )  # fmt: skip


@admin.register(WorkflowRun)
class WorkflowRunAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "run_id", "workflow_id", "status", "created_at", "completed_at",
        "wake_at", "deliveries", "messages",
    )  # fmt: skip
    list_filter = ("status", "workflow_id")
    search_fields = ("run_id__exact", "root_id__exact")
    date_hierarchy = "created_at"
    inlines = (StepInline,)


@admin.register(Event)
class EventAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "name", "match", "run", "created_at", "consumed_by", "consumed_at",
    )  # fmt: skip
    list_filter = ("name",)
    list_select_related = ("run", "consumed_by")
    search_fields = ("match__exact", "event_id__exact")


@admin.register(DeadLetterEntry)
class DeadLetterEntryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "run_id", "workflow_id", "error_type", "error_message", "created_at",
        "is_replayed", "replayed_as",
    )  # fmt: skip
    list_filter = ("is_replayed", "workflow_id", "error_type")
    search_fields = ("run_id__exact",)
    actions = ("replay_entries",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Who may start runs: reading is not enough."""
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
