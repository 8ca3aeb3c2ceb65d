"""Tests that are run again with faults, and what is said of what they find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from django_hookflow.testing import rerunning
from django_hookflow.testing.exploring import Pass
from django_hookflow.testing.exploring import explore
from django_hookflow.testing.faults import Fault
from django_hookflow.testing.faults import Faults

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from django.db import transaction

pytest_plugins = ["django_hookflow.pytest_plugin"]

@pytest.fixture
def db():
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)
"""
SHOP = """
import pytest
from django_hookflow import workflow

charged = []

@pytest.fixture(autouse=True)
def nothing_charged():
    charged.clear()

def charge():
    charged.append(10)

def order(ctx):
    ctx.step.run("charge", charge)

@pytest.mark.hookflow_faults
def test_order(hookflow):
    hookflow.run(workflow(order))
    assert sum(charged) == 10
"""
GOOD = """
import pytest
from django_hookflow import workflow

@workflow
def good(ctx):
    ctx.step.run("first", str)
    ctx.step.sleep("nap", "1d")
    return ctx.step.run("second", str)

@pytest.fixture(scope="module")
def of_module():
    yield
    assert ENDS_WELL

@pytest.mark.hookflow_faults(budget=BUDGET)
def test_good(of_module):
    good.trigger(run_id="r1")

@pytest.mark.hookflow_faults(budget=20)
def test_also_good(hookflow, of_module):
    assert hookflow.run(good).advance("1d").result == ""
"""

UNUSED = ("cacheprovider", "cov", "django", "hypothesispytest", "xdist")

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(db: None, pytester: pytest.Pytester) -> Run:
    """Run a module of tests in this process, without pytest-django."""
    pytester.makeconftest(CONFTEST)

    def run(module: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_shop=module)
        without = [f"-pno:{name}" for name in UNUSED]
        return pytester.runpytest_inprocess(*without, *options)

    return run


def test_a_charge_without_a_key_is_found_and_told(run: Run) -> None:
    result = run(SHOP)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E       assert 20 == 10",
            "*- hookflow -*",
            "Step 'charge' ran twice: the process died after the function of "
            "step 'charge' returned and before its result was recorded.",
            "To see it again: pytest test_shop.py::test_order "
            "--hookflow-fault=charge:after-effect",
            "*- Captured runs call -*",
            "Run order-1 of order: completed, 2 deliveries",
            "   0  charge * run * completed  after 2 attempts",
            "FAILED test_shop.py::test_order - Step 'charge' ran *",
        ]
    )


def test_a_fault_is_seen_again(run: Run) -> None:
    result = run(SHOP, "--hookflow-fault=charge:after-effect")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       assert 20 == 10"])
    result.stdout.no_fnmatch_line("*To see it again*")


def test_a_fault_that_does_no_harm_passes(run: Run) -> None:
    run(SHOP, "--hookflow-fault=charge:after-record").assert_outcomes(passed=1)


def test_a_fault_to_which_the_test_does_not_come_fails_it(run: Run) -> None:
    result = run(SHOP, "--hookflow-fault=chrge:after-effect")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*The test did not come to 'chrge:after-effect'. Places that it "
            "came to: charge:after-effect, *"
        ]
    )


def test_a_fault_that_does_not_exist_is_refused(run: Run) -> None:
    result = run(SHOP, "--hookflow-fault=charge:sometimes")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*--hookflow-fault: Invalid fault 'charge:sometimes', expected *"]
    )


def test_a_test_that_fails_without_faults_is_reported_as_usual(
    run: Run,
) -> None:
    result = run(SHOP.replace("== 10", "== 11"))

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       assert 10 == 11"])
    result.stdout.no_fnmatch_line("*hookflow-fault*")


def test_an_error_in_a_fixture_is_told_too(run: Run) -> None:
    clear = "    charged.clear()"
    then = f"{clear}\n    yield\n    assert sum(charged) in (0, 10)"
    module = SHOP.replace(clear, then)

    result = run(module.replace("    assert sum(charged) == 10\n", ""))

    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["Step 'charge' ran twice: *"])


def test_what_is_robust_passes_and_a_small_budget_is_told(run: Run) -> None:
    good = GOOD.replace("ENDS_WELL", "True").replace("BUDGET", "3")

    result = run(good)

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "test_shop.py::test_good: 10 of 12 faults were not tried; a "
            "larger budget= does."
        ]
    )


def test_a_fixture_of_the_module_is_torn_down_once(run: Run) -> None:
    bad = GOOD.replace("ENDS_WELL", "False").replace("BUDGET", "3")

    run(bad).assert_outcomes(passed=2, errors=1)


def test_a_skipped_test_is_skipped(run: Run) -> None:
    skips = "    pytest.skip('later')\n    hookflow.run"

    run(SHOP.replace("    hookflow.run", skips)).assert_outcomes(skipped=1)


def test_a_test_case_is_refused(run: Run) -> None:
    result = run(
        "import pytest, unittest\n"
        "class TestOrders(unittest.TestCase):\n"
        "    @pytest.mark.hookflow_faults\n"
        "    def test_order(self):\n"
        "        pass\n"
    )

    assert "Write it as a function that takes the fixture hookflow." in (
        result.stdout.str() + result.stderr.str()
    )


def test_a_failure_that_is_only_text_is_told() -> None:
    report = pytest.TestReport(
        "test_order", ("", 0, ""), {}, "failed", "no", "call"
    )

    rerunning._add(report, "It ran twice.", "pytest x")

    assert report.longrepr == "It ran twice. pytest x\nno"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("charge:after-effect", Fault("charge", "after-effect")),
        ("charge#2:after-effect", Fault("charge", "after-effect", 2)),
        ("a: b#x:before-effect", Fault("a: b#x", "before-effect")),
        ("message#3:lost", Fault("message", "lost", 3)),
    ],
)
def test_a_fault_has_a_name(text: str, fault: Fault) -> None:
    assert (Fault.parse(text), str(fault)) == (fault, text)


@pytest.mark.parametrize("text", ["charge", ":lost", "charge#0:", "a:b"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a step id and one of"):
        Fault.parse(text)


@pytest.mark.parametrize(
    ("name", "story"),
    [
        (
            "charge#2:before-effect",
            "the process died before the function of step 'charge' was "
            "called (time 2)",
        ),
        (
            "delivery#2:before-commit",
            "the process died at the end of delivery 2, before that was "
            "committed",
        ),
        (
            "message:lost",
            "message 1 was lost, and the sweeper sent it again",
        ),
    ],
)
def test_a_fault_has_a_story(name: str, story: str) -> None:
    assert Fault.parse(name).story == story


def test_a_plan_says_what_was_not_reached() -> None:
    assert Faults().not_reached() == ""
    assert Faults([Fault("a", "lost")]).not_reached() == (
        "The test did not come to 'a:lost'. Places that it came to: none, "
        "since no run was delivered."
    )


A, B, C = (Fault("step", "after-effect", number) for number in (1, 2, 3))


def attempt_that_fails_for(
    *bad: tuple[Fault, ...], called: int = 1
) -> Callable[[tuple[Fault, ...]], Pass[str]]:
    """Return a test that comes to three places, and fails for some faults."""

    def attempt(faults: tuple[Fault, ...]) -> Pass[str]:
        times = called + len(faults)
        return Pass(
            faults, faults not in bad, [A, B, C], Counter(step=times), "text"
        )

    return attempt


def test_a_pair_is_tried_after_each_alone() -> None:
    explored = explore(attempt_that_fails_for((A, C), called=2))

    assert explored.found is not None
    assert explored.found.faults == (A, C)
    assert explored.passes > 4
    assert explored.sentence == (
        "Step 'step' ran 4 times instead of 2: the process died after the "
        "function of step 'step' returned and before its result was "
        "recorded, and then the process died after the function of step "
        "'step' returned and before its result was recorded (time 3)."
    )


def test_the_budget_is_kept() -> None:
    explored = explore(attempt_that_fails_for((C,)), budget=3)

    assert (explored.found, explored.passes) == (None, 3)
    assert explored.skipped == 1


def test_all_pairs_are_tried_where_the_budget_allows() -> None:
    explored = explore(attempt_that_fails_for())

    assert (explored.found, explored.passes, explored.skipped) == (None, 7, 0)


def test_a_failure_without_another_call_is_told() -> None:
    explored = explore(attempt_that_fails_for((B,), called=0))

    assert explored.found is not None
    explored.found.called.clear()
    assert explored.sentence.startswith("The test fails: the process died ")


def test_a_test_that_goes_another_way_each_time_is_judged_too() -> None:
    places = iter([[A], [B]])

    def attempt(faults: tuple[Fault, ...]) -> Pass[str]:
        return Pass(faults, True, next(places), Counter(), "text")

    explored = explore(attempt)

    assert (explored.found, explored.passes) == (None, 2)
