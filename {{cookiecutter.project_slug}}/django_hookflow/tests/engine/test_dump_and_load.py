"""Runs after dumpdata and loaddata."""

from __future__ import annotations

from io import StringIO
from typing import Any

from django.core.management import call_command

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World


def test_runs_survive_a_dump_and_a_load(every: World) -> None:
    @workflow
    def dumped(ctx: WorkflowContext) -> Any:
        return ctx.data

    run_id = dumped.trigger({"b": (1, "ü\0"), "a": None})
    every.deliver()
    dump = StringIO()
    call_command("dumpdata", "django_hookflow", stdout=dump)
    before = WorkflowRun.objects.values().get()
    WorkflowRun.objects.all().delete()

    text = dump.getvalue()
    from django.core import serializers

    for row in serializers.deserialize("json", text):
        row.save()

    assert WorkflowRun.objects.values().get() == before
    assert list(every.run_of(run_id).result) == ["b", "a"]
