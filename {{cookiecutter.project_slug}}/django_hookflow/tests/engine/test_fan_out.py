"""`ctx.step.map` and `parallel`: branches that run side by side."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_hookflow import Compensation
from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import cancel_run
from django_hookflow import fork_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RunNotFailed
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.maintenance import look_again_at_all
from django_hookflow.operations.maintenance import sweep
from django_hookflow.testing.world import World


def branches_of(run: WorkflowRun) -> list[WorkflowRun]:
    return list(WorkflowRun.objects.filter(parent=run).order_by("branch"))


def test_results_come_in_the_order_of_the_items(every: World) -> None:
    @workflow
    def doubling(ctx: WorkflowContext) -> list[int]:
        return ctx.step.map("double", lambda n: 2 * n, range(25))

    run = every.finish(doubling.trigger())

    assert run.result == [2 * n for n in range(25)]
    children = branches_of(run)
    assert [child.branch for child in children] == list(range(25))
    assert {child.status for child in children} == {"completed"}
    assert not any(child.has_ticket for child in children)
    assert {child.sweep_at for child in children} == {None}


def test_branches_have_steps_sleeps_and_waits(every: World) -> None:
    calls: list[str] = []

    @workflow
    def shipping(ctx: WorkflowContext) -> list[str]:
        def ship(parcel: str) -> str:
            ctx.step.run("pack", calls.append, f"pack {parcel}")
            ctx.step.sleep("dry", "1h")
            who = ctx.step.wait_for_event("sign", "signed", match=parcel)
            ctx.step.run("send", calls.append, f"send {parcel}")
            return f"{parcel} to {who}"

        ctx.step.run("begin", calls.append, "begin")
        return ctx.step.map("ship", ship, ["a", "b"])

    run_id = shipping.trigger()
    every.deliver()
    assert look_again_at_all() == 1  # and it waits on
    every.deliver()
    for parcel, who in (("b", "Bo"), ("a", "Al")):
        send_event("signed", who, match=parcel)
    run = every.finish(run_id)

    assert run.result == ["a to Al", "b to Bo"]
    assert sorted(calls) == ["begin", "pack a", "pack b", "send a", "send b"]


def test_functions_side_by_side_have_names(every: World) -> None:
    @workflow
    def preparing(ctx: WorkflowContext) -> dict[str, Any]:
        return ctx.step.parallel(
            "prepare", {"sum": (lambda a, b: a + b, 1, 2), "word": lambda: "w"}
        )

    assert every.finish(preparing.trigger()).result == {"sum": 3, "word": "w"}


def failing_at(*numbers: int) -> Any:
    def one(number: int) -> int:
        if number in numbers:
            raise PermanentError(f"no {number}")
        return number

    return one


def test_a_failure_cancels_the_others_and_comes_back(
    every: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0

    @workflow
    def trying(ctx: WorkflowContext) -> Any:
        def one(number: int) -> int:
            if number == 0:
                ctx.step.sleep("long", "9d")
            return int(failing_at(2)(number))

        try:
            return ctx.step.map("try", one, range(30))
        except WorkflowError as error:
            return [error.step_id, error.error_type, error.error]

    run = every.finish(trying.trigger())

    assert run.result == ["try", "PermanentError", "branch 2: no 2"]
    ended = [child.status for child in branches_of(run)]
    assert ended[:3] == ["cancelled", "completed", "failed"]
    assert "cancelled" in ended[3:]
    assert run.completed_at is not None
    assert run.completed_at - run.created_at < timedelta(days=1)
    assert not DeadLetterEntry.objects.exists()


@pytest.mark.parametrize(
    ("terms", "failed"),
    [
        ({"on_error": "collect"}, 3),
        ({"tolerate": 3}, 3),
        ({"enough": 2}, 3),
    ],
)
def test_failures_may_be_tolerated(
    every: World, terms: dict[str, Any], failed: int
) -> None:
    @workflow
    def trying(ctx: WorkflowContext) -> Any:
        results = ctx.step.map("try", failing_at(1, 3, 4), range(5), **terms)
        assert len(results) == 5
        return [
            [r.step_id, r.error_type] if isinstance(r, WorkflowError) else r
            for r in results
        ]

    run = every.finish(trying.trigger())

    error = ["try", "PermanentError"]
    assert run.result == [0, error, 2, error, error]


def test_one_failure_too_many_fails_the_step(every: World) -> None:
    @workflow
    def trying(ctx: WorkflowContext) -> Any:
        return ctx.step.map(
            "try", failing_at(1, 3, 4), range(5), enough=2, tolerate=2
        )

    run = every.finish(trying.trigger())

    assert (run.status, run.error_step) == ("failed", "try")
    assert len(DeadLetterEntry.objects.all()) == 1


def test_when_enough_have_completed_the_others_are_cancelled(
    every: World,
) -> None:
    @workflow
    def asking(ctx: WorkflowContext) -> Any:
        def ask(days: int) -> int:
            ctx.step.sleep("answer", days * 86_400)
            return days

        results = ctx.step.map("ask", ask, [3, 1, 2, 9], enough=2)
        assert isinstance(results[0], WorkflowError)
        assert "enough" in results[0].error
        return [r for r in results if not isinstance(r, WorkflowError)]

    run = every.finish(asking.trigger())

    assert run.result == [1, 2], run.error_message
    assert [child.status for child in branches_of(run)] == [
        "cancelled",
        "completed",
        "completed",
        "cancelled",
    ]
    assert run.duration is not None
    assert run.duration < timedelta(days=3)


def test_an_optional_fan_out_fails_silently(every: World) -> None:
    @workflow
    def trying(ctx: WorkflowContext) -> Any:
        step = ctx.step.options(optional=True)
        return [
            step.map("map", failing_at(0), [0]),
            step.parallel("parallel", {"a": (failing_at(0), 0)}),
        ]

    assert every.finish(trying.trigger()).result == [None, {}]


def test_nothing_to_do_starts_nothing(every: World) -> None:
    @workflow
    def idle(ctx: WorkflowContext) -> Any:
        return [ctx.step.map("map", str, []), ctx.step.parallel("both", {})]

    run = every.finish(idle.trigger())

    assert run.result == [[], {}]
    assert not branches_of(run)


def test_no_more_branches_are_at_work_than_may_be(world: World) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> Any:
        def one(number: int) -> int:
            ctx.step.options(retry=RetryPolicy(retries=1, delay=60)).run(
                "flaky", flaky, number
            )
            return number

        return ctx.step.map("work", one, range(9), max_parallel=2)

    tried: list[int] = []

    def flaky(number: int) -> None:
        tried.append(number)
        if tried.count(number) == 1 and number == 0:
            raise ConnectionError("again")

    run_id = working.trigger()
    world.deliver()

    # The first waits for its next attempt, so its ticket is another's.
    assert sorted(tried) == list(range(9))
    run = world.finish(run_id)
    assert run.result == list(range(9))
    assert sum(child.messages for child in branches_of(run)) == 3


def test_messages_follow_parallelism(world: World) -> None:
    @workflow
    def counting(ctx: WorkflowContext) -> int:
        return len(ctx.step.map("count", str, range(200), max_parallel=10))

    run = world.finish(counting.trigger())

    assert run.result == 200
    messages = sum(child.messages for child in branches_of(run))
    assert (messages, run.messages) == (10, 2)


def test_a_spent_budget_sends_the_next_branch(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_DELIVERY_BUDGET = 0

    @workflow
    def counting(ctx: WorkflowContext) -> Any:
        return ctx.step.map("count", int, range(5), max_parallel=2)

    run = world.finish(counting.trigger())

    assert run.result == list(range(5))
    assert [child.messages for child in branches_of(run)] == [1] * 5


def test_branches_start_branches(every: World) -> None:
    @workflow
    def nesting(ctx: WorkflowContext) -> Any:
        def row(y: int) -> list[str]:
            name = ctx.step.run("name", lambda: f"row {y}")

            def cell(x: int) -> str:
                key = ctx.idempotency_key("cell")
                return str(ctx.step.run("cell", lambda: f"{name} {x} {key}"))

            return ctx.step.map("cells", cell, range(3))

        return ctx.step.map("rows", row, range(3))

    run = every.finish(nesting.trigger())

    cells = [text.rsplit(" ", 1) for row in run.result for text in row]
    assert [name for name, _ in cells] == [
        f"row {y} {x}" for y in range(3) for x in range(3)
    ]
    assert len({key for _, key in cells}) == 9


def test_a_branch_may_be_a_workflow(every: World) -> None:
    @workflow
    def doubling(ctx: WorkflowContext) -> Any:
        return 2 * ctx.data["n"]

    @workflow
    def all_of_them(ctx: WorkflowContext) -> Any:
        return ctx.step.map("double", doubling, [{"n": 1}, {"n": 2}])

    assert every.finish(all_of_them.trigger()).result == [2, 4]


def test_time_and_chance_are_the_same_in_each_pass(every: World) -> None:
    seen: list[Any] = []

    @workflow
    def rolling(ctx: WorkflowContext) -> Any:
        ctx.step.run("first", str)
        before = ctx.random().random()

        def roll(_: int) -> list[float]:
            rolled = [ctx.random().random()]
            ctx.step.sleep("rest", 60)
            rolled.append(ctx.random().random())
            seen.append([before, *rolled, ctx.now().isoformat()])
            return rolled

        return [before, ctx.step.map("roll", roll, range(2))]

    run = every.finish(rolling.trigger())

    before, (first, second) = run.result
    assert len({before, *first, *second}) == 5
    assert {one[0] for one in seen} == {before}


def test_a_retried_letter_keeps_the_branches_that_completed(
    every: World,
) -> None:
    calls: list[str] = []
    broken = [True]

    @workflow
    def charging(ctx: WorkflowContext) -> Any:
        def charge(number: int) -> str:
            ctx.step.run("charge", calls.append, f"charge {number}")
            if broken[0] and number == 2:
                ctx.step.sleep("later", 60)
                raise PermanentError("no receipt")
            return ctx.idempotency_key("charge")

        return ctx.step.map("charge", charge, range(4))

    failed = every.finish(charging.trigger())
    keys = {
        child.branch: f"{child.root_id}:charge"
        for child in branches_of(failed)
    }
    broken[0] = False
    run = every.finish(DeadLetterEntry.objects.get().replay())

    assert run.status == "completed"
    assert sorted(calls) == [f"charge {n}" for n in range(4)]
    assert run.result == [keys[n] for n in range(4)]


def test_all_may_have_completed_in_an_earlier_run(every: World) -> None:
    calls: list[int] = []

    @workflow
    def working(ctx: WorkflowContext) -> Any:
        results = ctx.step.map("work", calls.append, range(3))
        if len(calls) < 4:
            calls.append(-1)
            raise PermanentError("only the first time")
        return results

    @workflow
    def counting(ctx: WorkflowContext) -> Any:
        return ctx.step.map("count", failing_at(), range(3), enough=1)

    every.finish(working.trigger())
    run = every.finish(DeadLetterEntry.objects.get().replay())
    assert (run.result, calls) == ([None] * 3, [*sorted(calls)[1:], -1])


def test_cancelling_a_run_cancels_and_undoes_its_branches(
    every: World,
) -> None:
    undone: list[Any] = []

    @workflow
    def booking(ctx: WorkflowContext) -> None:
        def book(name: str) -> None:
            ctx.step.options(compensate=undone.append).run("book", str, name)
            ctx.step.sleep("stay", "9d")

        ctx.step.map("rooms", book, ["a", "b", "c"], max_parallel=2)

    run_id = booking.trigger()
    every.pass_time("1h")
    cancel_run(run_id)
    run = every.finish(run_id)

    assert run.status == "cancelled"
    assert sorted(undone) == ["a", "b", "c"]
    assert {c.status for c in branches_of(run)} == {"compensated"}


def test_a_branch_undoes_its_steps_when_it_fails(every: World) -> None:
    undone: list[Any] = []

    @workflow
    def booking(ctx: WorkflowContext) -> Any:
        def book(name: str) -> None:
            undo = Compensation(lambda _: undone.append(name))
            ctx.step.options(compensate=undo).run("book", str, name)
            raise PermanentError("full")

        return [
            result.error
            for result in ctx.step.map(
                "rooms", book, ["a", "b"], on_error="collect"
            )
        ]

    run = every.finish(booking.trigger())

    assert run.result == ["full", "full"]
    assert sorted(undone) == ["a", "b"]


def test_a_branch_that_is_cancelled_passes_its_ticket_on(
    every: World,
) -> None:
    @workflow
    def sleeping(ctx: WorkflowContext) -> Any:
        def doze(number: int) -> int:
            if number == 0:
                raise ConnectionError("again and again")
            return number

        step = ctx.step.options(retry=RetryPolicy(retries=99, delay=3600))
        return len(
            step.map(
                "doze", doze, range(4), max_parallel=1, on_error="collect"
            )
        )

    run_id = sleeping.trigger()
    every.deliver()
    waiting, *held = branches_of(every.run_of(run_id))
    assert [child.has_ticket for child in held] == [False] * 3
    cancel_run(waiting.run_id)

    assert every.finish(run_id, "1h").result == 4


def test_a_branch_waits_for_code_that_comes_to_it(every: World) -> None:
    is_deployed = [False]

    @workflow
    def growing(ctx: WorkflowContext) -> Any:
        if is_deployed[0]:
            ctx.step.run("new", str)

        def grow(number: int) -> int:
            ctx.step.sleep("grow", 3600)
            return number

        return ctx.step.map("grow", grow, range(2))

    run_id = growing.trigger()
    every.deliver()
    is_deployed[0] = True
    every.pass_time("2h")

    child = branches_of(every.run_of(run_id))[0]
    assert (child.status, child.error_type) == ("waiting", "BranchNotReached")
    assert "Branch 0 of step 'grow'" in child.error_message

    is_deployed[0] = False
    for _ in range(5):
        every.advance("1h")
        sweep()
        every.deliver()
    assert every.run_of(run_id).result == [0, 1]


def test_items_must_be_the_same_in_each_pass(every: World) -> None:
    count = [3]

    @workflow
    def shrinking(ctx: WorkflowContext) -> Any:
        def one(number: int) -> int:
            ctx.step.sleep("rest", 60)
            return number

        return ctx.step.map("work", one, range(count[0]))

    run_id = shrinking.trigger()
    every.deliver()
    count[0] = 2
    run = every.finish(run_id)

    assert (run.status, run.error_type) == ("failed", "MisusedStep")
    assert "its items are others now" in run.error_message


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ({"max_parallel": 0}, "has max_parallel=0 and 3 branches"),
        ({"max_parallel": True}, "has max_parallel=True"),
        ({"enough": 4}, "has enough=4 and 3 branches"),
        ({"enough": 0}, "has enough=0"),
        ({"tolerate": -1}, "has tolerate=-1"),
        ({"on_error": "ignore"}, "has on_error='ignore'"),
        ({"on_error": "collect", "tolerate": 1}, "leave one of the two out"),
    ],
)
def test_terms_that_make_no_sense_are_refused(
    world: World, terms: dict[str, Any], problem: str
) -> None:
    @workflow
    def wrong(ctx: WorkflowContext) -> Any:
        return ctx.step.map("work", str, range(3), **terms)

    run = world.finish(wrong.trigger())

    assert (run.status, run.error_type) == ("failed", "MisusedStep")
    assert problem in run.error_message
    assert not branches_of(run)


def test_what_is_no_list_of_items_is_refused(world: World) -> None:
    @workflow
    def wrong(ctx: WorkflowContext) -> Any:
        step: Any = ctx.step
        calls: list[Any] = [
            lambda: step.map("a", str, "text"),
            lambda: step.map("b", str, 3),
            lambda: step.map("c", "str", [1]),
            lambda: step.map("d", str, range(10_001)),
            lambda: step.map("e", str, [object()]),
            lambda: step.parallel("f", {1: str}),
            lambda: step.parallel("g", {"one": ("str", 1)}),
            lambda: step.parallel("h", {"one": ()}),
        ]
        errors = []
        for call in calls:
            with pytest.raises(Exception) as raised:  # noqa: PT011
                call()
            errors.append(str(raised.value))
        return errors

    errors = world.finish(wrong.trigger()).result

    assert [error.split(". ")[0] for error in errors] == [
        "Step 'a' was given items of type str",
        "Step 'b' was given items of type int",
        "Step 'c' was given 'str', which is not a function",
        "Step 'd' has 10,001 branches",
        errors[4].split(". ")[0],
        "Step 'f' has a branch with the name 1",
        "Step 'g' was given 'str', which is not a function",
        "Step 'h' was given (), which is not a function",
    ]
    assert errors[4].startswith("The items of step 'e'[0] cannot be recorded")


def test_results_that_are_too_long_together_name_the_step(
    world: World, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_MAX_VALUE_BYTES = 1000

    @workflow
    def filling(ctx: WorkflowContext) -> Any:
        return ctx.step.map("fill", lambda n: "x" * 600, range(2))

    run = world.finish(filling.trigger())

    assert run.status == "failed"
    assert "The results of step 'fill' cannot be recorded" in run.error_message


def test_branches_do_not_go_deeper_than_runs_may(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_hookflow.steps.invoke.DEEPEST", 4)

    @workflow
    def endless(ctx: WorkflowContext) -> Any:
        def deeper(number: int) -> Any:
            return ctx.step.map("deeper", deeper, [number + 1])

        return deeper(0)

    run = world.finish(endless.trigger())

    assert run.status == "failed"
    assert WorkflowRun.objects.count() == 5


def test_a_branch_is_not_forked_by_itself(world: World) -> None:
    @workflow
    def working(ctx: WorkflowContext) -> Any:
        return ctx.step.map("work", failing_at(0), [0])

    run = world.finish(working.trigger(run_id="whole"))
    (branch,) = branches_of(run)

    with pytest.raises(RunNotFailed, match="is a part of run 'whole'"):
        fork_run(branch.run_id, "work")


def test_a_branch_does_not_continue_as_new(world: World) -> None:
    @workflow
    def looping(ctx: WorkflowContext) -> Any:
        return ctx.step.map("loop", lambda _: ctx.continue_as_new(), [0])

    run = world.finish(looping.trigger())

    assert run.status == "failed"
    assert "has a branch that was to continue as new" in run.error_message


def test_attributes_are_those_of_the_run_that_sets_them(world: World) -> None:
    @workflow
    def naming(ctx: WorkflowContext) -> Any:
        ctx.set(place="outside")
        return ctx.step.map("name", lambda n: ctx.set(number=n), [7])

    run = world.finish(naming.trigger())

    assert run.attributes == {"place": "outside"}
    assert [b.attributes for b in branches_of(run)] == [{"number": 7}]


def test_a_branch_waits_while_its_run_sleeps_before_it(world: World) -> None:
    is_deployed = [False]

    @workflow
    def napping(ctx: WorkflowContext) -> Any:
        if is_deployed[0]:
            ctx.step.sleep("nap", "2h")

        def one(number: int) -> int:
            ctx.step.sleep("rest", "1h")
            return number

        return ctx.step.map("work", one, range(2))

    run_id = napping.trigger()
    world.deliver()
    is_deployed[0] = True
    look_again_at_all()
    world.pass_time("90m")
    branch = branches_of(world.run_of(run_id))[0]
    assert (branch.status, branch.error_type) == (
        "waiting",
        "BranchNotReached",
    )

    world.pass_time("1h")
    sweep()
    assert world.finish(run_id).result == [0, 1]
