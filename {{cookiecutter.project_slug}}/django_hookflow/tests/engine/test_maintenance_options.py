"""Invalid numbers for the maintenance commands."""

from __future__ import annotations

import pytest
from django.core.management import CommandError
from django.core.management import call_command

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import RetryableError
from django_hookflow.testing.world import World


def test_a_pause_without_end_is_cut_short(every: World) -> None:
    calls: list[int] = []

    def ask() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RetryableError("later", retry_after=1e12)

    @workflow
    def patient(ctx: WorkflowContext) -> None:
        ctx.step.run("ask", ask)

    run = every.finish(patient.trigger(), within="31d")

    assert (run.status, len(calls)) == ("completed", 2)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("hookflow_sweep", ["--limit", "-1"]),
        ("cleanup_workflows", ["--days-old", "99999999"]),
    ],
)
def test_numbers_without_meaning_are_refused(
    command: str, arguments: list[str]
) -> None:
    with pytest.raises(CommandError, match=r"Invalid --.*, expected"):
        call_command(command, *arguments)
