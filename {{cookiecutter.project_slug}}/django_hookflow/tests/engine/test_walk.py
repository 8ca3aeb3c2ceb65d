"""How far a reader walks to follow one delivery."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post

ENGINE = Path(__file__).parents[2]
# It was 124 in 36, and is to be 60 in 15: these may only become fewer.
FUNCTIONS, FILES = 114, 33


@pytest.mark.sqlite  # PostgreSQL's driver has a few of its own
def test_one_delivery_of_one_step_is_no_longer_a_walk_than_it_was(
    world: World,
) -> None:
    @workflow
    def walked(ctx: WorkflowContext) -> str:
        return ctx.step.run("step", str)

    walked.trigger()
    world.deliver()  # what is made once is made
    walked.trigger()
    delivery = memory_transport().waiting[0].delivery
    seen: set[tuple[str, str]] = set()

    inside: list[str] = []

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        if code.co_name == "workflow_webhook":
            inside.append(event)
        if inside != ["call"]:
            return
        if event == "call" and path.is_relative_to(ENGINE):
            name = str(path.relative_to(ENGINE))
            if not name.startswith(("tests", "transports/memory", "contrib")):
                seen.add((name, code.co_qualname))

    sys.setprofile(watch)
    try:
        post(delivery)
    finally:
        sys.setprofile(None)

    functions = {one for one in seen if "<" not in one[1].rpartition(".")[2]}
    files = {name for name, _ in functions}
    assert len(functions) <= FUNCTIONS, sorted(functions)
    assert len(files) <= FILES, sorted(files)
