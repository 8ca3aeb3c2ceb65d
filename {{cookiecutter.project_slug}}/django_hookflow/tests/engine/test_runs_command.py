"""`manage.py hookflow_runs`."""

from __future__ import annotations

import io
import json
import sys
import uuid
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management import call_command
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import pause_run
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.models import AuditEntry
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World
from django_hookflow.workflows.registry import get_workflow


def out(*arguments: str, **options: Any) -> str:
    stream = io.StringIO()
    call_command("hookflow_runs", *arguments, stdout=stream, **options)
    return stream.getvalue()


def facts(*arguments: str) -> Any:
    return json.loads(out(*arguments, "--json"))


@pytest.fixture
def shop(world: World) -> World:
    """Runs: a and b wait for an event, c has failed, d is of another kind."""

    @workflow(workflow_id="order")
    def order(ctx: WorkflowContext) -> Any:
        ctx.step.run("look", str, "book")
        if ctx.data.get("fails"):
            raise PermanentError("no")
        return ctx.step.wait_for_event("wait", "paid", match=ctx.run_id)

    @workflow(workflow_id="other")
    def other(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", "1d")

    order.trigger(run_id="a", owner="ada")
    order.trigger(run_id="b", owner="bob")
    order.trigger(run_id="c", owner="ada", data={"fails": True})
    world.deliver()
    world.advance("1m")
    other.trigger(run_id="d")
    world.deliver()
    return world


def states() -> dict[str, str]:
    runs = WorkflowRun.objects.filter(run_id__in="abcd").order_by("run_id")
    return dict(runs.values_list("run_id", "status"))


def test_runs_are_listed_the_newest_first(shop: World) -> None:
    assert out("list") == (
        "d  other  waiting  2026-01-01 00:01:00\n"
        "c  order  failed  2026-01-01 00:00:00  PermanentError: no\n"
        "b  order  waiting  2026-01-01 00:00:00\n"
        "a  order  waiting  2026-01-01 00:00:00\n"
    )


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--status=failed"], "c"),
        (["--workflow=order", "--owner=ada"], "ca"),
        (["--limit=1"], "d"),
        (["--owner=nobody"], ""),
    ],
)
def test_runs_are_selected(
    shop: World, arguments: list[str], found: str
) -> None:
    assert [run["run_id"] for run in facts("list", *arguments)] == [*found]


def test_a_run_is_shown_with_its_steps_and_changes(shop: World) -> None:
    pause_run("a", by="ada", reason="wait")
    shown = out("show", "a")
    told = facts("show", "a")

    assert "status: paused\n" in shown
    assert "step look  run  completed  book\n" in shown
    assert "step wait  wait_for_event  waiting  paid  a\n" in shown
    assert "pause  ada  waiting  paused  wait\n" in shown
    assert (told["status"], told["owner"]) == ("paused", "ada")
    assert [step["step_id"] for step in told["steps"]] == ["look", "wait"]
    assert told["changes"][0]["by"] == "ada"


def test_runs_are_steered_by_their_ids(shop: World) -> None:
    said = out("pause", "a", "d", "--reason=hold", "--by=eve")
    assert said == "a: paused\nd: paused\nPaused: 2 runs.\n"
    assert states() == {"a": "paused", "b": "waiting", "c": "failed"} | {
        "d": "paused"
    }
    kept = AuditEntry.objects.values_list("by", "reason")
    assert list(kept) == [("eve", "hold")] * 2

    assert out("resume", "a") == "a: resumed\nResumed: 1 run.\n"
    assert facts("cancel", "b", "d") == {
        "done": {"b": None, "d": None},
        "failed": {},
    }
    assert states()["d"] == "cancelled"
    again = facts("retry", "c")["done"]["c"]
    assert again == WorkflowRun.objects.get(origin__run_id="c").run_id


def test_a_run_is_forked(shop: World) -> None:
    begun = facts("fork", "a", "wait", '--data={"n": 1}')["begun"]
    run = WorkflowRun.objects.get(run_id=begun)

    assert (run.data, run.is_fork) == ({"n": 1}, True)
    assert out("fork", "a", "wait").startswith("Run a goes on from wait as ")


def test_an_event_is_sent_once(shop: World) -> None:
    arguments = ["--match=a", "--event-id=1", '--data="cash"']
    assert out("send-event", "paid", *arguments) == "Sent the event paid.\n"
    assert out("send-event", "paid", *arguments) == (
        "It was sent before: the event paid.\n"
    )
    assert facts("send-event", "paid", "--run=b")["is_new"]

    assert shop.finish("a").result == "cash"
    assert shop.finish("b").status == "completed"
    assert Event.objects.count() == 2


def test_all_that_are_selected_are_steered(shop: World) -> None:
    said = out("cancel", "--workflow=order", "--yes")

    assert said == "a: cancelled\nb: cancelled\nCancelled: 2 runs.\n"
    assert states() == {
        "a": "cancelled",
        "b": "cancelled",
        "c": "failed",
        "d": "waiting",
    }
    assert out("cancel", "--workflow=order", "--yes") == (
        "Cancelled: 0 runs.\n"
    )
    assert out("retry", "--status=failed", "--yes").startswith("c: retried as")
    assert out("retry", "--status=failed", "--yes") == "Retried: 0 runs.\n"


@pytest.mark.parametrize("which", [["a"], ["--owner=ada", "--limit=1"]])
def test_a_dry_run_says_which_and_changes_nothing(
    shop: World, which: list[str]
) -> None:
    before = list(WorkflowRun.objects.values())

    assert out("cancel", *which, "--dry-run") == (
        "Would have 1 run cancelled:\na\n"
        "Nothing was changed. Run again without --dry-run to do it.\n"
    )
    assert facts("cancel", *which, "--dry-run")["run_ids"] == ["a"]
    assert list(WorkflowRun.objects.values()) == before
    assert not AuditEntry.objects.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "status"), [("y", "paused"), ("n", "waiting")]
)
def test_a_person_is_asked_before_many_runs_are_changed(
    shop: World, monkeypatch: pytest.MonkeyPatch, answer: str, status: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    stream = Terminal()
    try:
        call_command("hookflow_runs", "pause", "--owner=ada", stdout=stream)
    except CommandError as error:
        assert str(error) == "Nothing was changed."
        assert answer == "n"

    assert states()["a"] == status
    assert ("1 of 1 runs …" in stream.getvalue()) == (answer == "y")


def test_what_has_changed_meanwhile_is_said(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(io.StringIO):
        """Another person is faster."""

        def isatty(self) -> bool:
            if states()["a"] == "waiting":
                cancel_run("a")
                cancel_run("b")
            return True

        def readline(self, *_: Any) -> str:
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Late())
    stream = io.StringIO()
    with pytest.raises(CommandError, match=r"2 runs could not be paused\."):
        call_command(
            "hookflow_runs", "pause", "--workflow=order", stdout=stream
        )

    assert "a: Run 'a' is cancelled, so there is nothing" in stream.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "x"], "No run has the id 'x'. "),
        (["cancel", "x"], "No run has the id 'x'. "),
        (
            ["cancel", "a", "c"],
            "Run 'c' is failed, so there is nothing to cancel. Only paused, "
            "pending, running and waiting runs can be.",
        ),
        (["resume", "a"], "Run 'a' is waiting, so there is nothing to resume"),
        (["retry", "a"], "Run 'a' is waiting, so there is nothing to retry."),
        (
            ["fork", "a", "loook"],
            "Run 'a' has no step 'loook' that it has reached. Did you mean "
            "'look'? There are: 'look', 'wait'.",
        ),
        (["fork", "a", "look", "--data={"], "Invalid --data '{', expected"),
        (
            ["fork", "a", "look", "--data=1"],
            "Invalid --data '1', expected a JSON obj",
        ),
        (["cancel"], "Which runs are to be cancelled? Give their ids, or ch"),
        (["pause", "a", "--owner=ada"], "Which runs are to be paused? Give "),
        (["list", "--limit=0"], "Invalid --limit 0, expected 1 or more."),
        (
            ["pause", "--owner=ada"],
            "1 runs are to be paused. No terminal is there to ask: look with "
            "--dry-run, and add --yes.",
        ),
        (["list", "--status=lost"], "invalid choice: 'lost' (choose from"),
        (["erase"], "invalid choice: 'erase'"),
        (["send-event", "paid"], "one of the arguments --run --match is req"),
        (["send-event", "", "--run=a"], "Invalid name '', expected text with"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_changes_nothing(
    shop: World, arguments: list[str], message: str
) -> None:
    before = list(WorkflowRun.objects.values())

    with pytest.raises(CommandError) as raised:
        out(*arguments)
    assert message in str(raised.value)
    assert raised.value.returncode == 1
    assert list(WorkflowRun.objects.values()) == before
    assert not Event.objects.exists()


@settings(
    max_examples=20,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    action=st.sampled_from(["cancel", "pause"]),
    bystanders=st.lists(
        st.sampled_from(["{}!", "{}0", "%", "_", " {}", "{} a", "{}%"]),
        unique=True,
    ),
)
def test_steering_one_run_touches_no_bystander(
    shop: World, action: str, bystanders: list[str]
) -> None:
    chosen = f"run-{uuid.uuid4()}"
    names = [name.format(chosen) for name in bystanders]
    for run_id in [chosen, chosen.upper(), *names]:
        get_workflow("order").trigger(run_id=run_id)
    shop.deliver()
    others = WorkflowRun.objects.exclude(run_id=chosen).order_by("pk")
    before = list(others.values())
    out(action, chosen)

    assert list(others.values()) == before
    assert shop.run_of(chosen).status in {"cancelled", "paused"}
