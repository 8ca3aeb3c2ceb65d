"""A failed run is exported as a test that fails with the same error."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.core.management import call_command
from django.utils import timezone

from django_hookflow import Compensation
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.inspection.export import redacted
from django_hookflow.models import WorkflowRun
from django_hookflow.testing import Hookflow
from django_hookflow.testing import Run

pytestmark = pytest.mark.django_db

CALLED: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    CALLED.clear()


def noted(value: Any) -> Any:
    CALLED.append(value)
    return value


def refuse(error: str) -> None:
    CALLED.append("refuse")
    raise PermanentError(error)


def away() -> None:
    CALLED.append("away")
    raise ConnectionError("no route")


@workflow
def fails_in_a_step(ctx: WorkflowContext) -> None:
    price = ctx.step.run("price", noted, ctx.data["price"])
    ctx.step.sleep("nap", "1d")
    ctx.step.wait_for_event("paid", "paid", match=price)
    ctx.step.run("ship", refuse, f'sold "out" for {price}')


@workflow
def fails_outside(ctx: WorkflowContext) -> None:
    try:
        ctx.step.run("first", refuse, "caught")
    except WorkflowError:
        ctx.step.run("second", noted, "instead")
    ctx.step.map("each", noted, [1, 2])
    raise KeyError(f"of {ctx.random().random()} {ctx.started_at}")


@workflow
def fails_again_and_again(ctx: WorkflowContext) -> None:
    undo = Compensation(noted)
    ctx.step.options(compensate=undo).run("book", noted, "flight")
    ctx.step.run("pay", away)


def exported(run: Run, *options: str) -> str:
    out = io.StringIO()
    call_command("hookflow_export", run.run_id, *options, stdout=out)
    return out.getvalue()


def error_of(hookflow: Hookflow, text: str) -> BaseException:
    """Run an exported test where the run is not, and return its error."""
    WorkflowRun.objects.all().delete()
    CALLED.clear()
    module: dict[str, Any] = {}
    exec(compile(text, "exported", "exec"), module)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        module["test_the_run_ends_well"](hookflow)
    return raised.value


def test_a_step_that_failed_is_called_again(hookflow: Hookflow) -> None:
    run = hookflow.run(fails_in_a_step, {"price": Decimal("9.50")})
    run.advance("1d").send_event("paid")

    error = error_of(hookflow, exported(run))

    assert type(error) is PermanentError
    assert str(error) == 'sold "out" for 9.50'
    assert CALLED == ["refuse"]


def test_an_error_outside_of_steps_comes_again(hookflow: Hookflow) -> None:
    run = hookflow.run(fails_outside)
    (type_of, _, said) = run.error.partition(": ")

    error = error_of(hookflow, exported(run))

    assert (type_of, said) == ("KeyError", str(error))
    assert CALLED == []


def test_a_step_is_tried_as_often_as_it_was(hookflow: Hookflow) -> None:
    run = hookflow.run(fails_again_and_again)
    with pytest.raises(ConnectionError, match="no route"):
        run.finish()
    assert run.status == "compensated"

    error = error_of(hookflow, exported(run))

    assert (type(error), str(error)) == (ConnectionError, "no route")
    assert CALLED == ["away"] * 4


def test_what_looks_like_a_secret_is_left_out(hookflow: Hookflow) -> None:
    data = {"price": "1", "card_token": "tok_1", "ids": [1], "n": None}
    run = hookflow.run(fails_in_a_step, data)
    run.advance("1d").send_event("paid")

    hidden, shown = exported(run), exported(run, "--secrets")

    assert "tok_1" not in hidden
    assert "'card_token': 'redacted'" in hidden
    assert "Values that were 'redacted' may matter." in hidden
    assert "'card_token': 'tok_1'" in shown
    assert "redacted" not in shown
    assert redacted({"email": ["a@b.c"]}) == {"email": ["redacted"]}


def test_a_file_is_written_once(hookflow: Hookflow, tmp_path: Path) -> None:
    run = hookflow.run(fails_outside)
    path = tmp_path / "test_run.py"

    said = exported(run, "--output", str(path))
    with pytest.raises(CommandError) as again:
        exported(run, "--output", str(path))

    assert said == f"Wrote {path}. Run it: pytest {path}\n"
    assert path.read_text("utf-8") == exported(run)
    assert str(again.value) == (
        f"Cannot write {path}: File exists. Name a new file in a folder that "
        "exists."
    )


@workflow
def ends_well(ctx: WorkflowContext) -> str:
    ctx.step.sleep("nap", "1d")
    return "well"


@workflow(timeout="1h")
def ends_late(ctx: WorkflowContext) -> None:
    ctx.step.sleep("nap", "1d")


def test_only_a_run_that_failed_is_exported(hookflow: Hookflow) -> None:
    run, late = hookflow.run(ends_well), hookflow.run(ends_late)
    assert (run.finish(), late.status) == ("well", "failed")

    for run_id, said in (
        (run.run_id, "Run 'ends_well-1' is completed and did not fail. Only"),
        (late.run_id, "Run 'ends_late-2' failed with RunTimeout, which comes"),
        ("r9", "No run has the id 'r9'. "),
    ):
        with pytest.raises(CommandError) as raised:
            call_command("hookflow_export", run_id)
        assert str(raised.value).startswith(said)


def test_a_run_that_is_there_is_not_restored(hookflow: Hookflow) -> None:
    run = hookflow.run(ends_well)
    facts = {
        "run_id": run.run_id,
        "root_id": run.run_id,
        "workflow_id": "ends_well",
        "version": 1,
        "owner": "",
        "data": {},
        "started_at": timezone.now().isoformat(),
    }

    with pytest.raises(AssertionError) as raised:
        hookflow.restore(facts, [])

    assert str(raised.value) == (
        "Run 'ends_well-1' exists already: restore it once."
    )
