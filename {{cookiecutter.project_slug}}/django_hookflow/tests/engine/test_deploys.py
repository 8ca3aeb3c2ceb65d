"""Deploys that change the waits of open runs."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.workflows import registry
from django_hookflow.workflows.registry import get_workflow

Code = Callable[[WorkflowContext], Any]


def deploy(code: Code) -> None:
    """Make `code` the function of the workflow "order"."""

    @workflow
    def order(ctx: WorkflowContext) -> Any:
        return code(ctx)


def wait(name: str = "paid", match: str | None = "7", step: str = "w") -> Code:
    return lambda ctx: ctx.step.wait_for_event(step, name, match=match)


def trigger(world: World) -> str:
    run_id = get_workflow("order").trigger()
    world.deliver()
    return run_id


def sweep(*arguments: str) -> str:
    stream = StringIO()
    call_command("hookflow_sweep", *arguments, stdout=stream)
    return stream.getvalue()


CHANGES: dict[str, tuple[Code, dict[str, str]]] = {
    "name": (wait("settled"), {"name": "settled", "match": "7"}),
    "match": (wait(match="8"), {"name": "paid", "match": "8"}),
    "match to run": (wait(match=None), {"name": "paid", "run_id": ""}),
    "step": (wait("settled", step="x"), {"name": "settled", "match": "7"}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("early", [True, False])
def test_a_run_waits_for_what_the_new_code_asks_for(
    every: World, change: str, early: bool
) -> None:
    code, event = CHANGES[change]
    deploy(wait())
    run_id = trigger(every)
    event |= {"run_id": run_id} if "run_id" in event else {}

    deploy(code)
    if early:
        send_event(**event, data="cash")
    sweep("--waiting")
    every.deliver()
    if not early:
        send_event(**event, data="cash")
    run = every.finish(run_id)

    assert (run.status, run.result) == ("completed", "cash")


def test_a_run_goes_on_when_its_wait_is_removed(every: World) -> None:
    deploy(wait())
    run_id = trigger(every)

    deploy(lambda ctx: ctx.step.run("ship", lambda: "shipped"))
    sweep("--waiting")
    run = every.finish(run_id)

    assert (run.status, run.result) == ("completed", "shipped")


def test_a_wait_that_became_a_sleep_says_so(every: World) -> None:
    deploy(wait())
    run_id = trigger(every)

    deploy(lambda ctx: ctx.step.sleep("w", 60))
    sweep("--waiting")
    run = every.finish(run_id)

    assert (run.status, run.error_message) == (
        "failed",
        "Step 'w' is recorded as 'wait_for_event' and the code now asks for "
        "'sleep'. Give the new step another id; runs under way keep the old "
        "one.",
    )


def test_the_sweeper_looks_again_at_what_waits_once_a_day(
    every: World,
) -> None:
    deploy(wait())
    run_id = trigger(every)
    deploy(wait("settled"))
    send_event("settled", match="7")

    every.advance("23h")
    before = maintenance.sweep()
    every.advance("1h")
    after = maintenance.sweep()
    again = maintenance.sweep()

    assert (before, after, again) == (0, 1, 0)
    assert every.finish(run_id).status == "completed"


def test_a_look_at_a_run_that_waits_for_the_same_costs_one_message(
    every: World,
) -> None:
    deploy(wait())
    run_id = trigger(every)

    for _ in range(3):
        sweep("--waiting")
        every.deliver()
    run = every.run_of(run_id)

    assert (run.status, run.wake_at, run.messages) == ("waiting", None, 4)
    assert every.times > 1 or run.deliveries == 4
    send_event("paid", "cash", match="7")
    assert every.finish(run_id).result == "cash"


def test_a_look_that_is_lost_is_overdue_like_any_message(
    world: World,
) -> None:
    deploy(wait())
    run_id = trigger(world)

    said = sweep("--waiting")
    run = world.run_of(run_id)
    world.advance("10m")

    assert said == (
        "Replaying 1 run that waits for an event without a time limit.\n"
    )
    assert run.wake_at is not None
    assert maintenance.sweep() == 1


def test_waiting_runs_are_left_alone_where_the_setting_says_so(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_LOOK_AGAIN = 0
    deploy(wait())
    trigger(world)

    world.advance("365d")

    assert maintenance.sweep() == 0


def test_runs_that_wait_until_a_time_are_not_looked_at(world: World) -> None:
    deploy(lambda ctx: ctx.step.sleep("w", "90d"))
    trigger(world)

    world.advance("30d")

    assert sweep("--waiting") == (
        "Replaying 0 runs that wait for an event without a time limit.\n"
    )
    assert WorkflowRun.objects.get().deliveries == 1


def test_code_that_comes_back_is_noticed_at_once_after_its_deploy(
    world: World,
) -> None:
    deploy(lambda ctx: ctx.step.run("ship", lambda: "shipped"))
    run_id = get_workflow("order").trigger()
    known = get_workflow("order")
    registry.unregister("order")
    for _ in range(12):
        world.advance("1h")
        maintenance.sweep()
        world.deliver()

    registry.register(known)
    memory_transport().reset()
    world.advance("2m")
    put_off = maintenance.sweep()
    said = sweep("--waiting")
    world.deliver()

    assert put_off == 0
    assert said.startswith("Sent again for 1 overdue run;")
    assert world.run_of(run_id).status == "completed"


@pytest.mark.parametrize("match", ["7", None])
def test_the_admin_shows_what_a_run_was_asked_to_wait_for(
    world: World, admin_client: Client, match: str | None
) -> None:
    deploy(wait("paid", match))
    run = world.run_of(trigger(world))
    address = f"/admin/django_hookflow/workflowrun/{run.pk}/change/"

    before = admin_client.get(address).content.decode()
    deploy(wait("settled", match, step="x"))
    sweep("--waiting")
    world.deliver()
    after = admin_client.get(address).content.decode()

    to = " with 7" if match else ""
    assert f"for paid{to}<" in before
    assert f"for settled{to}<" in after
    assert f"for paid{to}<" not in after
