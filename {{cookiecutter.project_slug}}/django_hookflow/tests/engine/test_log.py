"""The log of a run."""

from __future__ import annotations

from typing import Any

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World


def test_the_log_tells_the_story_of_a_run_once(
    every: World, caplog: Any
) -> None:
    @workflow
    def story(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)
        ctx.step.sleep("nap", 1)

    caplog.set_level("DEBUG", "django_hookflow")
    every.finish(story.trigger(run_id="r1"))

    told = [r for r in caplog.records if r.name == "django_hookflow"]
    assert [record.getMessage() for record in told] == [
        "story r1 triggered",
        "story r1 delivery 1",
        "story r1 step a",
        "story r1 waiting",
        "story r1 delivery 2",
        "story r1 step nap",
        "story r1 completed",
    ]
