"""The checks of the source find mistakes, and nothing in what is right."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core import mail
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.inspection.mistakes import mistakes_in
from django_hookflow.inspection.source import read
from django_hookflow.testing import Hookflow
from django_hookflow.testing.faults import Faults
from django_hookflow.tests.inspection import mistaken
from django_hookflow.tests.kit.corpus import CASES
from django_hookflow.tests.kit.corpus import Case
from django_hookflow.workflows.registry import get_workflow
from django_hookflow.workflows.registry import get_workflow_infos
from django_hookflow.workflows.registry import restored
from django_hookflow.workflows.wrapper import WorkflowWrapper

SOURCE = Path(mistaken.__file__)

# Those of the corpus that the body of the function shows.
IN_THE_SOURCE = {
    "branch_by_chance",
    "event_sent_outside_of_a_step",
    "id_by_position",
    "key_made_outside_of_a_step",
    "key_with_the_time",
    "mail_sent_outside_of_a_step",
    "match_made_outside_of_a_step",
    "price_by_chance",
    "row_read_outside_of_a_step",
    "row_written_outside_of_a_step",
    "run_triggered_outside_of_a_step",
    "time_in_the_result",
    "time_of_two_steps",
}


def expected(first: int, last: int) -> list[tuple[int, str]]:
    lines = SOURCE.read_text().splitlines()[first - 1 : last]
    return [
        (number, found[1])
        for number, line in enumerate(lines, first)
        if (found := re.search(r"# (W\d{3})", line))
    ]


def reaches(function: Callable[..., Any]) -> list[tuple[int, str]]:
    """Return the warnings in a function and in those it calls."""
    code = function.__code__
    first = code.co_firstlineno
    last = max(line for *_, line in code.co_lines() if line is not None)
    helpers = {
        "helped": mistaken.remind,
        "elsewhere": mistaken.remind,
        "the_same_id_in_a_loop": mistaken.refund,
    }
    found = expected(first, nested_end(first, last))
    helper = helpers.get(function.__name__)
    return found + (reaches(helper) if helper else [])


def nested_end(first: int, last: int) -> int:
    """Return the line before the next function of the module."""
    lines = SOURCE.read_text().splitlines()
    return next(
        (
            number
            for number in range(max(first, last), len(lines))
            if re.match(r"\S", lines[number])
        ),
        len(lines),
    )


@pytest.mark.parametrize("function", mistaken.FUNCTIONS)
def test_each_mistake_is_found_at_its_line(
    function: Callable[..., Any],
) -> None:
    found = mistakes_in(WorkflowWrapper(function))

    lines = [
        (m.place.line, m.id.removeprefix("django_hookflow.")) for m in found
    ]
    assert lines == sorted(reaches(function))
    assert {m.place.path for m in found} <= {str(SOURCE)}


def found_in(case: Case, fixed: bool) -> list[str]:
    """Return the warnings for the workflows of a case of the corpus."""
    block = transaction.atomic()
    block._from_testcase = True
    mail.outbox.clear()
    with block, restored():
        known = {info.name for info in get_workflow_infos()}
        kit = Hookflow(faults=Faults(()))
        with kit.running():
            with suppress(AssertionError):  # some show without faults
                case(kit, fixed)
            found = [
                f"{mistake.id} {mistake.problem}"
                for info in get_workflow_infos()
                if info.name not in known
                for mistake in mistakes_in(get_workflow(info.name))
            ]
        transaction.set_rollback(True)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_mistake_of_the_corpus_is_found_and_its_cure_is_not(
    case: Case,
) -> None:
    is_found = bool(found_in(case, fixed=False))

    assert is_found == (case.__name__ in IN_THE_SOURCE)
    assert found_in(case, fixed=True) == []


def test_the_check_names_the_file_the_line_and_the_cure() -> None:
    with restored():

        @workflow(workflow_id="price-now")
        def price(ctx: WorkflowContext) -> None:
            ctx.step.run("price", str, time.time())

        messages = [
            m
            for m in checks.run_checks(tags=["hookflow"])
            if "price-now" in m.msg
        ]
        line = price.function.__code__.co_firstlineno + 2

    assert [str(message) for message in messages] == [
        f"{__file__}:{line}: (django_hookflow.W101) Workflow 'price-now' "
        "reads the clock with time.time() outside of its steps, in code that "
        "is executed again at each delivery.\n\tHINT: Use ctx.now(), which is "
        "the same at every replay. If it is meant, end the line with "
        '"# hookflow: ok".'
    ]


def test_the_same_id_names_the_line_of_the_first() -> None:
    found = mistakes_in(WorkflowWrapper(mistaken.the_same_id))

    first = mistaken.the_same_id.__code__.co_firstlineno + 1
    assert found[0].problem == (
        "Workflow 'the_same_id' uses the step id 'book' twice on one path; "
        f"the first is line {first}."
    )


def test_a_function_without_source_has_no_mistakes() -> None:
    names: dict[str, Any] = {}
    exec("def made(ctx):\n    import time\n    time.time()\n", names)

    assert mistakes_in(WorkflowWrapper(names["made"])) == []


def test_a_lambda_has_no_mistakes() -> None:
    made = WorkflowWrapper(lambda ctx: time.time(), "made")

    assert mistakes_in(made) == []


def test_a_name_without_a_value_yet_is_anything() -> None:
    def order(ctx: WorkflowContext) -> None:
        later(ctx)
        time.sleep(1)

    found = mistakes_in(WorkflowWrapper(order))

    def later(ctx: WorkflowContext) -> None: ...

    assert [one.id for one in found] == ["django_hookflow.W107"]


def test_a_function_of_c_has_no_source() -> None:
    assert read(len) is None


def test_a_step_in_one_round_of_a_loop_is_used_once() -> None:
    with restored():

        @workflow(workflow_id="one-nap")
        def walk(ctx: WorkflowContext) -> None:
            for number in range(3):
                ctx.step.run(f"step-{number}", str)
                if number == 1:
                    ctx.step.sleep("nap", 1)

        assert mistakes_in(walk) == []
