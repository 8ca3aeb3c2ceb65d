"""Errors of publish_next_step, which older code imports."""

from __future__ import annotations

from typing import Any

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import WorkflowError
from django_hookflow.testing.world import World
from django_hookflow.workflows.handlers import publish_next_step

QSTASH = "django_hookflow.transports.qstash.QStashTransport"


def test_the_old_way_to_send_a_message_says_what_went_wrong(
    world: World, settings: Any
) -> None:
    @workflow
    def sent(ctx: WorkflowContext) -> None: ...

    run_id = sent.trigger()
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH  # nothing listens there

    with pytest.raises(WorkflowError, match="QStash did not accept"):
        publish_next_step("sent", run_id)
