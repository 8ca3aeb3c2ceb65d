"""Runs of workflows in plain tests of a database."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import send_mail
from django.db import IntegrityError
from django.db import transaction
from django.utils import timezone

from django_hookflow import Compensation
from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import PermanentError
from django_hookflow.testing import Hookflow

pytestmark = pytest.mark.django_db


@workflow
def renewal(ctx: WorkflowContext) -> str:
    customer = ctx.data["customer"]
    ctx.step.run("announce", str, customer)
    ctx.step.sleep("grace", "3d")
    bill = ctx.step.run("bill", lambda: f"bill of {customer}")
    try:
        ctx.step.wait_for_event("paid", "bill.paid", "14d", match=bill)
    except EventTimeout:
        return "cancelled"
    return "renewed"


def test_a_run_goes_until_it_waits_and_time_passes_when_asked(
    hookflow: Hookflow,
) -> None:
    run = hookflow.run(renewal, {"customer": "ada"})

    run.assert_steps(["announce", ("grace", "waiting")])
    assert run.status == "waiting"
    run.advance("3d")
    run.assert_steps(["announce", "grace", "bill", ("paid", "waiting")])
    run.send_event("bill.paid")
    assert (run.status, run.result) == ("completed", "renewed")
    assert [step.step_id for step in run.steps] == [
        "announce", "grace", "bill", "paid",
    ]  # fmt: skip
    assert run.step("bill").result == "bill of ada"


def test_each_message_comes_when_it_is_due(hookflow: Hookflow) -> None:
    run = hookflow.run(renewal, {"customer": "ada"})

    run.advance("17d")

    assert run.result == "cancelled"
    assert run.step("paid").executed_at - run.row.started_at == timedelta(
        days=17
    )
    assert hookflow.now - run.row.started_at == timedelta(days=17)


def test_a_step_is_stubbed_by_its_id(hookflow: Hookflow) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> Any:
        answer = ctx.step.call("charge", "http://127.0.0.1:1/charges")
        return answer["data"]

    stub = hookflow.stub(
        "charge", returns={"status_code": 200, "data": ["paid"]}
    )
    run = hookflow.run(order)

    assert run.result == ["paid"]
    assert stub.times == 1


def test_a_stub_raises(hookflow: Hookflow) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> Any:
        return ctx.step.run("charge", str)

    hookflow.stub("charge", raises=PermanentError("stolen"))
    run = hookflow.run(order)

    assert run.status == "failed"
    assert run.error == (
        "PermanentError: Step 'charge' was tried once and failed: "
        "PermanentError: stolen"
    )
    run.assert_steps([("charge", "failed")])


def test_a_step_fails_as_often_as_asked(hookflow: Hookflow) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> Any:
        return ctx.step.run("charge", lambda: "paid")

    failing = hookflow.fail("charge", times=2)
    run = hookflow.run(order)

    assert run.status == "waiting"
    assert run.step("charge").error_message == "charge is not reachable"
    run.advance("11s")
    assert run.result == "paid"
    assert (failing.times, run.step("charge").attempts) == (2, 3)
    assert hookflow.called["charge"] == 3


def test_a_question_is_answered(hookflow: Hookflow) -> None:
    @workflow
    def leave(ctx: WorkflowContext) -> Any:
        return ctx.step.ask("approve", title="Leave?", group="managers").data

    boss = User.objects.create(username="boss")
    boss.groups.add(Group.objects.create(name="managers"))
    run = hookflow.run(leave)

    run.answer({"yes": True}, as_user=boss, step_id="approve")

    assert run.result == {"yes": True}


def test_a_cancelled_run_is_compensated(hookflow: Hookflow) -> None:
    undone: list[str] = []

    @workflow
    def order(ctx: WorkflowContext) -> None:
        undo = Compensation(undone.append)
        ctx.step.options(compensate=undo).run("reserve", lambda: "mug")
        ctx.step.wait_for_event("paid", "paid")

    run = hookflow.run(order)
    run.cancel(by="ada", reason="changed her mind")

    assert run.status == "compensated"
    assert undone == ["mug"]


def test_runs_that_the_code_under_test_starts_are_found(
    hookflow: Hookflow,
) -> None:
    with transaction.atomic():
        run_id = renewal.trigger({"customer": "ada"}, run_id="ada-1")

    run = hookflow.get()

    assert run_id == run.run_id == hookflow.get("ada-1").run_id
    run.assert_steps(["announce", ("grace", "waiting")])
    assert "Run ada-1 of renewal: waiting" in run.timeline


def test_a_run_that_was_retried_is_followed(hookflow: Hookflow) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> Any:
        return ctx.step.run("charge", lambda: "paid")

    stub = hookflow.stub("charge", raises=PermanentError("away"))
    run = hookflow.run(order)
    del hookflow._stubs["charge"]

    run.row.dead_letters.get().replay()
    hookflow.deliver()

    assert (run.result, stub.times) == ("paid", 1)


def test_branches_and_invoked_runs_are_delivered(hookflow: Hookflow) -> None:
    @workflow
    def child(ctx: WorkflowContext) -> Any:
        ctx.step.sleep("nap", "1h")
        return ctx.data["n"] * 10

    @workflow
    def family(ctx: WorkflowContext) -> Any:
        def branch(n: int) -> Any:
            return ctx.step.run("double", lambda: n * 2)

        doubled = ctx.step.map("each", branch, [1, 2, 3])
        return ctx.step.invoke("child", child, {"n": sum(doubled)})

    run = hookflow.run(family)

    run.advance("1h")
    assert run.result == 120


def test_work_after_a_commit_is_done_at_once(hookflow: Hookflow) -> None:
    def charge() -> None:
        with transaction.atomic():
            transaction.on_commit(
                lambda: send_mail("Paid", "", None, ["ada@example.com"])
            )
            assert not mail.outbox

    @workflow
    def order(ctx: WorkflowContext) -> int:
        ctx.step.run("charge", charge)
        return ctx.step.run("count", lambda: len(mail.outbox))

    assert hookflow.run(order).result == 1


def test_an_error_of_what_may_fail_after_a_commit_is_passed_over(
    hookflow: Hookflow,
) -> None:
    transaction.on_commit(lambda: 1 / 0, robust=True)

    assert hookflow.run(renewal, {"customer": "ada"}).status == "waiting"


def test_a_failed_statement_spoils_nothing(hookflow: Hookflow) -> None:
    Group.objects.create(name="mug")

    def create() -> str:
        try:
            Group.objects.create(name="mug")
        except IntegrityError:
            return Group.objects.get().name
        return "two mugs"

    @workflow
    def order(ctx: WorkflowContext) -> Any:
        found = ctx.step.run("create", create)
        twice = ctx.step.options(optional=True)
        twice.run("again", lambda: Group.objects.create(name="mug").pk)
        return [found, ctx.step.run("count", Group.objects.count)]

    assert hookflow.run(order).result == ["mug", 1]


@pytest.mark.django_db(transaction=True)
def test_tests_that_commit_work_as_well(hookflow: Hookflow) -> None:
    run = hookflow.run(renewal, {"customer": "ada"})

    assert run.advance("17d").result == "cancelled"


def test_the_result_of_a_run_that_has_none_says_why(
    hookflow: Hookflow,
) -> None:
    hookflow.stub("announce", raises=PermanentError("no paper"))
    run = hookflow.run(renewal, {"customer": "ada"}, "r1")

    with pytest.raises(AssertionError) as raised:
        run.result  # noqa: B018

    why = (
        "PermanentError: Step 'announce' was tried once and failed: "
        "PermanentError: no paper"
    )
    assert str(raised.value) == (
        f"Run 'r1' has no result: it is failed ({why}).\n"
        f"Run r1 of renewal: failed ({why}), 1 delivery\n"
        "   0  announce                 run            failed     "
        "PermanentError: no paper"
    )


def test_steps_that_differ_are_shown_in_the_timeline(
    hookflow: Hookflow,
) -> None:
    run = hookflow.run(renewal, {"customer": "ada"}, "r1")

    with pytest.raises(AssertionError) as raised:
        run.assert_steps(["announce", "grace", "bill"])
    with pytest.raises(AssertionError, match="1: expected no step, found"):
        run.assert_steps(["announce"])
    with pytest.raises(AssertionError, match="0: expected 'bill' completed"):
        run.assert_steps(["bill"])

    grace = timezone.now() + timedelta(days=3)
    assert re.fullmatch(
        "The steps differ at position 1: expected 'grace' completed, found "
        "'grace' waiting.\n"
        "Run r1 of renewal: waiting, 1 delivery\n"
        "   0  announce                 run            completed\n"
        "   1  grace                    sleep          waiting    until "
        rf"{grace:%Y-%m-%d} \d\d:\d\d:\d\d UTC",
        str(raised.value),
    )


def test_an_event_for_which_the_run_does_not_wait_is_a_mistake(
    hookflow: Hookflow,
) -> None:
    run = hookflow.run(renewal, {"customer": "ada"}, "r1")

    with pytest.raises(AssertionError) as early:
        run.send_event("bill.paid")
    run.advance("3d")
    with pytest.raises(AssertionError) as other:
        run.send_event("paid")

    assert str(early.value) == (
        "Run 'r1' is waiting and does not wait for an event 'bill.paid'; it "
        "waits for nothing that is sent. Send the event later, or with "
        "early=True if it may come before the wait."
    )
    assert "it waits for 'bill.paid' (step 'paid')." in str(other.value)


def test_an_event_may_come_early_and_from_the_site(
    hookflow: Hookflow,
) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> Any:
        ctx.step.sleep("nap", 60)
        first = ctx.step.wait_for_event("paid", "paid")
        return [first, ctx.step.wait_for_event("sent", "sent", match=7)]

    run = hookflow.run(order)
    run.send_event("paid", 1, early=True)
    send_event("sent", 2, match=7)
    run.advance(60)

    assert run.result == [1, 2]


def test_an_answer_without_a_question_is_a_mistake(
    hookflow: Hookflow,
) -> None:
    @workflow
    def leave(ctx: WorkflowContext) -> Any:
        return ctx.step.ask("approve", title="Leave?", group="managers")

    boss = User.objects.create(username="boss", is_superuser=True)
    run = hookflow.run(leave, run_id="r1")

    with pytest.raises(AssertionError) as other:
        run.answer({}, as_user=boss, step_id="aprove")
    run.answer({}, as_user=boss)
    with pytest.raises(AssertionError) as none:
        run.answer({}, as_user=boss)

    assert str(other.value) == (
        "Run 'r1' does not ask 'aprove' at the moment. Open questions: "
        "'approve'."
    )
    assert str(none.value) == (
        "Run 'r1' does not ask exactly one question at the moment. Open "
        "questions: none."
    )


def test_a_run_that_is_not_there_is_a_mistake(hookflow: Hookflow) -> None:
    with pytest.raises(AssertionError) as none:
        hookflow.get()
    hookflow.run(renewal, {"customer": "ada"}, "r1")
    with pytest.raises(AssertionError) as other:
        hookflow.get("r2")
    run = hookflow.get()
    run.row.delete()
    with pytest.raises(AssertionError) as gone:
        run.row  # noqa: B018

    assert str(none.value) == (
        "The test expects that there is one run. Runs: none."
    )
    assert str(other.value) == (
        "The test expects that there is a run 'r2'. Runs: 'r1'."
    )
    assert "a run 'r1'" in str(gone.value)


def test_a_step_that_is_not_there_is_a_mistake(hookflow: Hookflow) -> None:
    run = hookflow.run(renewal, {"customer": "ada"}, "r1")

    with pytest.raises(AssertionError) as raised:
        run.step("grease")

    assert str(raised.value) == (
        "Run 'r1' has no step 'grease'. Did you mean 'grace'?"
    )


@pytest.mark.parametrize(
    ("step_id", "said"),
    [
        (
            "anounce",
            "Stub 'anounce' was not used: no run called the function of such "
            "a step. Did you mean 'announce'?",
        ),
        (
            "charge",
            "Stub 'charge' was not used: no run called the function of such "
            "a step. Steps that were: 'announce'.",
        ),
        (
            "grace",
            "Stub 'grace' was not used: it is a sleep step, which calls no "
            "function. Send its event, answer its question, or advance the "
            "time.",
        ),
    ],
)
def test_a_stub_that_is_not_used_is_a_mistake(
    hookflow: Hookflow, step_id: str, said: str
) -> None:
    hookflow.stub(step_id)
    hookflow.run(renewal, {"customer": "ada"})

    with pytest.raises(AssertionError) as raised:
        hookflow.finish()

    assert str(raised.value) == said
    hookflow._stubs.clear()


def test_what_is_not_a_workflow_is_a_mistake(hookflow: Hookflow) -> None:
    with pytest.raises(TypeError, match="<class 'str'> is not a workflow"):
        hookflow.run(str)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Invalid times 0"):
        hookflow.fail("charge", times=0)
    with pytest.raises(ValueError, match="Invalid duration 'soon'"):
        hookflow.advance("soon")


def test_a_run_without_code_is_a_mistake(hookflow: Hookflow) -> None:
    from django_hookflow.workflows import registry

    renewal.trigger({"customer": "ada"}, "r1")
    registry.unregister("renewal")

    with pytest.raises(AssertionError) as raised:
        hookflow.deliver()

    assert str(raised.value).startswith(
        "Run 'r1' cannot be delivered: No workflow is registered as 'renewal'"
    )


def test_runs_without_rest_are_a_mistake(
    hookflow: Hookflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    def endless(ctx: WorkflowContext) -> Any:
        ctx.continue_as_new()

    monkeypatch.setattr("django_hookflow.testing.kit.MOST", 20)

    with pytest.raises(AssertionError) as raised:
        hookflow.run(endless)

    assert str(raised.value) == (
        "The runs did not come to rest within 20 deliveries. Look for a loop "
        "without a wait, or for runs that start others."
    )
    hookflow._post.waiting.clear()


def test_the_runs_of_a_test_are_told(hookflow: Hookflow) -> None:
    hookflow.run(renewal, {"customer": "ada"}, "r1")
    hookflow.run(renewal, {"customer": "bob"})

    told = hookflow.told().splitlines()
    with transaction.atomic():
        transaction.set_rollback(True)
        spoilt = hookflow.told()

    assert told[0] == "Run r1 of renewal: waiting, 1 delivery"
    assert told[3] == "Run renewal-2 of renewal: waiting, 1 delivery"
    assert (len(told), spoilt) == (6, "")
