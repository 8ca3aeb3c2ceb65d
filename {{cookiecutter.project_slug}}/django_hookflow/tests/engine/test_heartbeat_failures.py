"""Heartbeats that cannot write."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

IMPATIENT = {
    "sqlite": ("timeout", 0.1),
    "postgresql": ("options", "-c lock_timeout=100"),
}


def test_a_heartbeat_that_cannot_write_leaves_the_step_alone(
    every: World,
    settings: Any,
    caplog: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DJANGO_HOOKFLOW_LEASE = 0.1
    # How long a new connection, such as the heartbeat's, waits for a lock.
    options = settings.DATABASES["default"]["OPTIONS"]
    monkeypatch.setitem(options, *IMPATIENT[connection.vendor])
    tried = threading.Event()
    caplog.handler.addFilter(
        lambda record: (
            ("keeps its old lease" in record.getMessage() and tried.set())
            or True
        )
    )

    @workflow
    def slow(ctx: WorkflowContext) -> bool:
        def write() -> bool:
            WorkflowRun.objects.select_for_update().get()
            return tried.wait(60)

        return ctx.step.options(atomic=True).run("slow", write)

    run = every.finish(slow.trigger())

    assert (run.status, run.result) == ("completed", True)
