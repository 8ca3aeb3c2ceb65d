"""A workflow whose module imports what is hard for Temporal's sandbox."""

from __future__ import annotations

import sentry_sdk
from temporalio import workflow

from django_hookflow.contrib.temporal import TemporalTransport
from django_hookflow.models import WorkflowRun


@workflow.defn(name="imports")
class Imports:
    @workflow.run
    async def run(self, name: str) -> str:
        """Return the names of what was imported."""
        imported = (WorkflowRun, TemporalTransport, sentry_sdk.Hub)
        return " ".join([name, *(one.__name__ for one in imported)])
