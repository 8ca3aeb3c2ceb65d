"""The low-level steps: `ctx.record_step_start`, `…_complete`, `…_failure`."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError
from django.db import connection
from django.db import transaction

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import engine
from django_hookflow import workflow
from django_hookflow.exceptions import LeaseLost
from django_hookflow.exceptions import StepTimeout
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import Died
from django_hookflow.testing.world import World
from django_hookflow.transports.memory import memory_transport

NO_RETRIES = RetryPolicy(retries=0)


class Shop:
    """The store and the mail server of the verification workflow."""

    def __init__(self, world: World, failures: int, deaths: int) -> None:
        self.world = world
        self.failures = failures
        self.deaths = deaths
        self.stored: list[str] = []
        self.mails: list[tuple[str, str]] = []

    def store_token_in_db(self, token: str) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the store is away")
        self.stored.append(token)

    def send_verification_email(self, email: str, token: str) -> None:
        self.mails.append((email, token))
        if self.deaths:
            self.deaths -= 1
            raise Died

    def sleep(self, seconds: int) -> None:
        self.world.advance(seconds)


def verification(shop: Shop) -> Any:
    """The workflow of the requirements, line by line."""

    @workflow
    def verification_workflow(ctx: WorkflowContext) -> dict[str, Any]:
        # Step 1: Generate token (with resume support)
        if ctx.is_step_completed("generate_token"):
            # Workflow was resumed - use cached result
            token = ctx.get_step_result("generate_token") or (
                f"verify_{ctx.uuid4()}"
            )
        else:
            ctx.record_step_start("generate_token")

            token = f"verify_{ctx.uuid4()}"

            ctx.record_step_complete("generate_token", token)

        # Step 2: Store token (with manual retry)
        if not ctx.is_step_completed("store_token"):
            ctx.record_step_start("store_token")

            attempts = 0
            while True:
                try:
                    shop.store_token_in_db(token)
                    break
                except ConnectionError as e:
                    if attempts < 3:
                        attempts += 1
                        shop.sleep(1)
                        continue
                    ctx.record_step_failure("store_token", str(e))
                    raise

            ctx.record_step_complete("store_token", {"stored": True})

        # Step 3: Send email
        if not ctx.is_step_completed("send_email"):
            ctx.record_step_start("send_email")

            shop.send_verification_email(ctx.data["email"], token)

            ctx.record_step_complete("send_email", {"sent": True})

        return {"token": token, "verified": False}

    return verification_workflow


@pytest.mark.parametrize("budget", [0, 20])
@pytest.mark.parametrize("failures", [0, 3])
@pytest.mark.parametrize("deaths", [0, 1])
@pytest.mark.promise("low-level")
def test_the_verification_workflow_of_the_requirements(
    every: World, settings: Any, budget: int, failures: int, deaths: int
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = budget
    shop = Shop(every, failures, deaths)

    run_id = verification(shop).trigger({"email": "a@b.example"})
    with suppress(Died):
        for _ in range(4):
            engine.advance(memory_transport().waiting[-1].delivery)
    every.advance("31s")
    run = every.finish(run_id)

    (token,) = set(shop.stored)
    assert run.result == {"token": token, "verified": False}
    assert token.startswith("verify_")
    assert shop.stored == [token]
    assert shop.mails == [("a@b.example", token)] * (1 + deaths)
    steps = run.step_executions.values_list("step_id", "kind", "attempts")
    assert list(steps) == [
        ("generate_token", "run", 1),
        ("store_token", "run", 1),
        ("send_email", "run", 1 + deaths),
    ]


def test_a_step_that_is_recorded_as_failed_fails_the_run(every: World) -> None:
    shop = Shop(every, failures=4, deaths=0)

    run = every.finish(verification(shop).trigger({"email": "a@b.example"}))

    assert (run.status, run.error_step, run.error_type) == (
        "failed",
        "store_token",
        "Exception",
    )
    assert run.error_message == (
        "Step 'store_token' was tried once and failed: Exception: "
        "the store is away"
    )
    assert shop.failures == 0
    again = every.finish(DeadLetterEntry.objects.get().replay())
    assert (again.status, len(shop.mails)) == ("completed", 1)


def test_its_error_can_be_raised_and_is_the_same_at_every_replay(
    every: World,
) -> None:
    caught: list[tuple[str, str]] = []

    def look(ctx: WorkflowContext) -> None:
        ctx.record_step_start("look")
        raise ctx.record_step_failure("look", KeyError("no such account"))

    @workflow
    def looking(ctx: WorkflowContext) -> str:
        try:
            look(ctx)
        except WorkflowError as error:
            caught.append((error.error_type, error.error))
        ctx.step.sleep("nap", 1)
        return "looked"

    run = every.finish(looking.trigger())

    assert run.result == "looked"
    assert caught == [("KeyError", "'no such account'")] * 2


def test_its_cause_is_there_in_the_pass_that_recorded_it(every: World) -> None:
    causes: list[Any] = []
    late = StepTimeout("other", "StepTimeout", "took 61 s")

    @workflow
    def looking(ctx: WorkflowContext) -> None:
        ctx.record_step_start("look")
        causes.append(ctx.record_step_failure("look", late))

    every.finish(looking.trigger())

    assert [type(error) for error in causes] == [StepTimeout]
    assert causes[0].__cause__ is late


def test_other_steps_may_stand_between_its_start_and_its_end(
    every: World,
) -> None:
    @workflow
    def sleeping(ctx: WorkflowContext) -> Any:
        if not ctx.is_step_completed("outer"):
            ctx.record_step_start("outer")
            inner = ctx.step.run("inner", str, 4711)
            ctx.step.sleep("nap", "1d")
            ctx.record_step_complete("outer", inner)
        return ctx.get_step_result("outer")

    run_id = sleeping.trigger()
    every.deliver()
    row = StepExecution.objects.get(step_id="outer")
    assert (row.status, row.duration, row.position) == ("running", None, 0)
    run = every.finish(run_id)

    assert run.result == "4711"
    steps = run.step_executions.values_list("step_id", "attempts")
    assert list(steps) == [("outer", 2), ("inner", 1), ("nap", 1)]


def test_steps_of_other_kinds_can_be_asked_for_and_still_run(
    every: World,
) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> Any:
        early = ctx.is_step_completed("one"), ctx.get_step_result("one")
        one = ctx.step.run("one", int, 1)
        found = ctx.is_step_completed("one"), ctx.get_step_result("one")
        with suppress(WorkflowError):
            ctx.step.run("bad", int, "x")
        bad = ctx.is_step_completed("bad"), ctx.get_step_result("bad")
        return [early, one, found, bad]

    run = every.finish(asking.trigger())

    assert run.result == [
        {"$tuple": [False, None]},
        1,
        {"$tuple": [True, 1]},
        {"$tuple": [False, None]},
    ]


def test_time_and_random_numbers_behind_it_are_the_same_at_every_replay(
    every: World,
) -> None:
    seen: list[Any] = []

    @workflow
    def drawing(ctx: WorkflowContext) -> None:
        ctx.step.run("first", every.advance, 1)
        inside = None
        if not ctx.is_step_completed("draw"):
            ctx.record_step_start("draw")
            inside = ctx.uuid4()
            every.advance(2)
            ctx.record_step_complete("draw")
        before = ctx.uuid4()
        ctx.get_step_result("draw")
        seen.append((ctx.now(), before, ctx.uuid4()))
        assert len({inside, before, ctx.uuid4()}) == 3
        ctx.step.sleep("nap", 60)

    assert every.finish(drawing.trigger()).status == "completed"

    first, second = seen
    assert first == second


def test_a_log_line_behind_it_is_said_once(every: World, caplog: Any) -> None:
    caplog.set_level(logging.INFO)

    @workflow
    def talking(ctx: WorkflowContext) -> None:
        ctx.log.info("before")
        if not ctx.is_step_completed("a"):
            ctx.record_step_start("a")
            ctx.record_step_complete("a")
        ctx.log.info("after")
        ctx.step.sleep("nap", 1)
        if not ctx.is_step_completed("b"):
            ctx.record_step_start("b")
            ctx.record_step_complete("b")
        ctx.log.info("end")

    every.finish(talking.trigger())

    said = [
        record.getMessage()
        for record in caplog.records
        if record.name == "workflows.talking"
    ]
    assert said == ["before", "after", "end"]


def completed_without_start(ctx: WorkflowContext) -> None:
    ctx.record_step_complete("a", 1)


def failed_without_start(ctx: WorkflowContext) -> None:
    ctx.record_step_failure("a", "no")


def completed_twice(ctx: WorkflowContext) -> None:
    ctx.record_step_start("a")
    ctx.record_step_complete("a", 1)
    ctx.record_step_complete("a", 2)


def failed_and_completed(ctx: WorkflowContext) -> None:
    ctx.record_step_start("a")
    ctx.record_step_failure("a", "no")
    ctx.record_step_complete("a", 2)


def started_twice(ctx: WorkflowContext) -> None:
    ctx.record_step_start("a")
    ctx.record_step_start("a")


def started_again(ctx: WorkflowContext) -> None:
    if ctx.data["replays"]:
        ctx.step.sleep("nap", 1)
    ctx.record_step_start("a")
    ctx.record_step_complete("a", 1)
    ctx.step.sleep("nap", 1)


def started_inside(ctx: WorkflowContext) -> None:
    ctx.step.run("outer", ctx.record_step_start, "a")


def completed_inside(ctx: WorkflowContext) -> None:
    ctx.record_step_start("a")
    ctx.step.run("outer", ctx.record_step_complete, "a", 1)


def started_in_a_transaction(ctx: WorkflowContext) -> None:
    with transaction.atomic():
        ctx.record_step_start("a")


def completed_in_a_transaction(ctx: WorkflowContext) -> None:
    ctx.record_step_start("a")
    with transaction.atomic():
        ctx.record_step_complete("a", 1)


def left_open(ctx: WorkflowContext) -> None:
    ctx.record_step_start("a")


def changed(ctx: WorkflowContext) -> None:
    ctx.step.sleep("a", 0)
    ctx.record_step_start("a")


def nameless(ctx: WorkflowContext) -> None:
    ctx.record_step_start("")


def elsewhere(ctx: WorkflowContext) -> None:
    failed: list[Exception] = []

    def ask() -> None:
        try:
            ctx.is_step_completed("a")
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    raise failed[0]


INSIDE = (
    "Step 'a' stands inside step 'outer'. A step is recorded as a whole, so "
    "it cannot hold another: call both from the workflow function."
)
ENCLOSED = (
    "Step 'a' stands inside a transaction of the workflow function. A wait "
    "would roll its entry back. Open the transaction in the step's own "
    "function, or use options(atomic=True)."
)
NOT_BEGUN = (
    "Step 'a' was not begun in this pass of the function. Call "
    "ctx.record_step_start('a') before, each time."
)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (completed_without_start, NOT_BEGUN),
        (failed_without_start, NOT_BEGUN),
        (
            completed_twice,
            "Step 'a' is completed already. What is recorded does not "
            "change: end a step once.",
        ),
        (
            failed_and_completed,
            "Step 'a' is failed already. What is recorded does not change: "
            "end a step once.",
        ),
        (
            started_twice,
            "Step 'a' was asked for twice in one pass. Its first result "
            "would be returned again. In a loop, make the id of the item: "
            'f"mail-{customer.pk}".',
        ),
        (
            started_again,
            "Step 'a' is completed, and was begun again. Ask "
            "ctx.is_step_completed('a') first.",
        ),
        (started_inside, INSIDE),
        (completed_inside, INSIDE),
        (started_in_a_transaction, ENCLOSED),
        (completed_in_a_transaction, ENCLOSED),
        (
            left_open,
            "Step 'a' was begun and not ended when the function returned. "
            "Call ctx.record_step_complete or ctx.record_step_failure.",
        ),
        (
            changed,
            "Step 'a' was asked for twice in one pass. Its first result "
            "would be returned again. In a loop, make the id of the item: "
            'f"mail-{customer.pk}".',
        ),
        (nameless, "Step '' has no name. Give each step a text as id."),
        (
            elsewhere,
            "Step 'a' was asked for in another thread. Its entry would not "
            "commit with what it writes. Call steps in the thread of the "
            "workflow function; a step's own function may use threads.",
        ),
    ],
)
def test_misuse_is_said_and_not_tried_again(
    every: World, function: Any, said: str
) -> None:
    run = every.finish(workflow(function).trigger({"replays": 0}))

    assert run.status == "failed"
    assert run.error_message.endswith(said)


def test_a_result_that_cannot_be_recorded_says_where(every: World) -> None:
    @workflow
    def recording(ctx: WorkflowContext) -> None:
        ctx.record_step_start("module")
        ctx.record_step_complete("module", sys)

    run = every.finish(recording.trigger())

    assert run.error_type == "SerializationError"
    assert run.error_message.startswith("The result of step 'module'")


def test_a_start_that_cannot_be_written_ends_the_delivery(
    every: World,
) -> None:
    swallowed: list[str] = []

    def full(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT INTO django_hookflow_stepexecution"):
            raise OperationalError("disk is full")
        return execute(sql, *rest)

    @workflow
    def recording(ctx: WorkflowContext) -> Any:
        try:
            ctx.record_step_start("a")
        except BaseException as error:
            swallowed.append(type(error).__name__)
        ctx.record_step_complete("a", "done")
        return ctx.get_step_result("a")

    run_id = recording.trigger()
    with connection.execute_wrapper(full), pytest.raises(LeaseLost):
        engine.advance(memory_transport().waiting[0].delivery)
    every.advance("31s")
    run = every.finish(run_id)

    assert (run.result, swallowed) == ("done", ["LeaseLost"])


def test_a_deploy_makes_it_of_a_step_that_waits_for_its_next_attempt(
    every: World,
) -> None:
    is_new: list[bool] = []

    def fail() -> None:
        is_new.append(True)
        raise ConnectionError("away")

    @workflow
    def deployed(ctx: WorkflowContext) -> Any:
        if not is_new:
            ctx.step.run("a", fail)
        ctx.record_step_start("a")
        ctx.record_step_complete("a", "by hand")
        return ctx.get_step_result("a")

    run = every.finish(deployed.trigger())

    step = run.step_executions.get()
    assert (run.result, step.attempts, step.wake_at) == ("by hand", 2, None)
    assert WorkflowRun.objects.count() == 1
