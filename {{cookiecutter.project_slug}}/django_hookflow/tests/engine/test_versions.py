"""Versions of a workflow, one beside another."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport
from django_hookflow.transports.memory import post
from django_hookflow.workflows import registry
from django_hookflow.workflows.registry import get_all_workflows
from django_hookflow.workflows.registry import get_workflow
from django_hookflow.workflows.registry import get_workflow_infos
from django_hookflow.workflows.registry import restored
from django_hookflow.workflows.wrapper import WorkflowInfo
from django_hookflow.workflows.wrapper import WorkflowWrapper


def version(number: int, **options: Any) -> WorkflowWrapper:
    """Declare a version of "bill", which says what it is after a sleep."""

    @workflow(workflow_id="bill", version=number, **options)
    def bill(ctx: WorkflowContext) -> Any:
        ctx.step.sleep("rest", 60)
        return ctx.step.run("tell", lambda: f"version {number}")

    return bill


@pytest.mark.promise("registry")
def test_the_latest_version_is_found_by_name_and_each_by_its_number() -> None:
    third, first = version(3), version(1)

    assert get_workflow("bill") is third
    assert get_workflow("bill", version=1) is first
    assert get_all_workflows()["bill"] is third


@pytest.mark.promise("version")
def test_a_run_keeps_the_version_that_it_began_with(every: World) -> None:
    first = version(1)
    began = first.trigger()
    every.deliver()
    version(2)

    later = get_workflow("bill").trigger()
    older = first.trigger()
    every.pass_time("1h")

    runs = [every.run_of(run_id) for run_id in (began, later, older)]
    assert [(run.version, run.result) for run in runs] == [
        (1, "version 1"),
        (2, "version 2"),
        (1, "version 1"),
    ]


def test_a_run_waits_until_its_version_is_deployed(
    world: World, caplog: Any
) -> None:
    first = version(1)
    run_id = first.trigger()
    version(2)
    version(10)
    registry.unregister("bill", 1)

    response = post(memory_transport().waiting[0].delivery)

    run = world.run_of(run_id)
    assert json.loads(response.getvalue())["status"] == "parked"
    assert (run.status, run.error_type, run.error_message) == (
        "waiting",
        "WorkflowNotFound",
        "Workflow 'bill' has no version 1 here. Deployed are: 2, 10. Keep "
        "the code of a version beside the newer ones until its last run has "
        "ended.",
    )
    assert "waits for its code" in caplog.text
    memory_transport().reset()
    registry.register(first)
    world.advance("2m")
    sweep()
    ended = world.finish(run_id)
    assert (ended.result, ended.error_message) == ("version 1", "")


def test_unknown_names_and_versions_are_told_apart() -> None:
    version(2)

    with pytest.raises(WorkflowNotFound, match="Did you mean 'bill'") as name:
        get_workflow("bil", version=2)
    with pytest.raises(WorkflowNotFound, match="Deployed are: 2") as number:
        get_workflow("bill", version=1)

    assert (name.value.version, number.value.version) == (2, 1)


def test_a_version_that_is_retired_leaves_the_others() -> None:
    first, second = version(1), version(2)

    registry.unregister("bill", 2)
    assert get_workflow("bill") is first
    registry.unregister("bill", 1)
    registry.unregister("bill")

    assert "bill" not in get_all_workflows()
    registry.register(second)
    assert get_workflow("bill") is second


def test_versions_declared_in_a_test_are_forgotten_after_it() -> None:
    first = version(1)

    with restored():
        version(2)
        registry.unregister("bill", 1)

    assert get_workflow("bill") is first


def test_a_retried_letter_goes_on_in_its_version(every: World) -> None:
    broken = [True]

    @workflow(workflow_id="mail")
    def mail(ctx: WorkflowContext) -> Any:
        def send() -> int:
            if broken:
                raise PermanentError("no stamps")
            return 1

        return ctx.step.run("send", send)

    every.finish(mail.trigger())

    @workflow(workflow_id="mail", version=2)
    def newer(ctx: WorkflowContext) -> Any:
        return 2

    broken.clear()
    run = every.finish(newer.replay(DeadLetterEntry.objects.get()))

    assert (run.version, run.result) == (1, 1)


def test_an_invoked_run_keeps_its_version_when_its_parent_is_retried(
    every: World,
) -> None:
    broken = [True]

    def child(number: int) -> WorkflowWrapper:
        @workflow(workflow_id="child", version=number)
        def child(ctx: WorkflowContext) -> Any:
            def act() -> str:
                if broken:
                    raise PermanentError("not yet")
                return f"version {number}"

            return ctx.step.run("act", act)

        return child

    invoked = [child(1)]

    @workflow
    def parent(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("ask", invoked[-1])

    every.finish(parent.trigger())
    invoked.append(child(2))
    broken.clear()
    retried = every.finish(DeadLetterEntry.objects.get().replay())
    fresh = every.finish(parent.trigger())

    assert (retried.result, fresh.result) == ("version 1", "version 2")
    runs = WorkflowRun.objects.filter(workflow_id="child").order_by("pk")
    assert [run.version for run in runs] == [1, 1, 2]


@pytest.mark.promise("deprecated")
def test_a_deprecated_version_still_runs_and_warns(
    every: World, caplog: Any
) -> None:
    old = version(1, deprecated=True)
    told = (
        f"Version 1 of workflow 'bill' is deprecated, and {old.name} has "
        "started another run of it. Start the latest: "
        "get_workflow('bill').trigger()."
    )

    with pytest.warns(DeprecationWarning, match="bill") as warned:
        run_id = old.trigger()

    assert [(str(w.message), w.filename) for w in warned] == [(told, __file__)]
    assert told in caplog.messages
    assert every.finish(run_id).result == "version 1"


@pytest.mark.promise("info")
def test_what_there_is_can_be_listed() -> None:
    version(2, timeout="24h")
    version(1, deprecated=True)

    infos = [info for info in get_workflow_infos() if info.name == "bill"]

    assert infos == [
        WorkflowInfo(name="bill", version=1, timeout=None, deprecated=True),
        WorkflowInfo(
            name="bill",
            version=2,
            timeout=timedelta(days=1),
            deprecated=False,
        ),
    ]


def test_two_functions_of_one_version_are_refused() -> None:
    version(1)
    version(2)

    with pytest.raises(ImproperlyConfigured, match=r"version: version=3\."):

        @workflow(workflow_id="bill", version=2)
        def other(ctx: WorkflowContext) -> None: ...


@pytest.mark.parametrize("bad", [0, -1, True, "2", 1.0, None, 2**31])
def test_a_version_that_is_no_positive_number_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        version(bad)
