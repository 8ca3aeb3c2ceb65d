"""The kit finds the mistakes of corpus.py, and none in their cures."""

from __future__ import annotations

from functools import partial

import pytest
from django.core import mail
from django.db import transaction

from django_hookflow.testing import Hookflow
from django_hookflow.testing.exploring import Explored
from django_hookflow.testing.exploring import Pass
from django_hookflow.testing.exploring import explore
from django_hookflow.testing.faults import Fault
from django_hookflow.testing.faults import Faults
from django_hookflow.tests.kit.corpus import CASES
from django_hookflow.tests.kit.corpus import Case

pytestmark = pytest.mark.django_db

# A new process has no memory of the old one; here it is the same process.
UNSEEN = {"token_kept_in_memory"}


def attempt(case: Case, fixed: bool, faults: tuple[Fault, ...]) -> Pass[str]:
    """Run a case once, as the fixture does, and take its rows back."""
    planned = Faults(faults)
    kit = Hookflow(faults=planned)
    mail.outbox.clear()
    said = ""
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        with kit.running():
            try:
                case(kit, fixed)
                kit.deliver()
            except AssertionError as failure:
                said = str(failure) or "it failed"
        transaction.set_rollback(True)
    return Pass(faults, not said, planned.reached, kit.called, said)


def judge(case: Case, fixed: bool) -> Explored[str]:
    return explore(partial(attempt, case, fixed), budget=40)


def test_there_are_thirty_of_them() -> None:
    assert len(CASES) >= 30
    assert len(UNSEEN) <= len(CASES) // 10


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_mistake_is_found(case: Case) -> None:
    explored = judge(case, fixed=False)

    is_found = explored.found is not None or not explored.clean.has_passed
    assert is_found == (case.__name__ not in UNSEEN)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_nothing_is_found_in_a_cure(case: Case) -> None:
    explored = judge(case, fixed=True)

    assert explored.clean.has_passed, explored.clean.report
    assert explored.found is None, (
        explored.sentence,
        explored.found.report,
    )
