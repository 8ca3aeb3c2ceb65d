"""Answers that overlap with each other, and with the end of a wait."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from django_hookflow import WorkflowContext
from django_hookflow import answer_question
from django_hookflow import cancel_run
from django_hookflow import workflow
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import QuestionClosed
from django_hookflow.models import Question
from django_hookflow.testing.world import World
from django_hookflow.tests.races.actors import Actor
from django_hookflow.tests.races.actors import deliver
from django_hookflow.tests.races.actors import stand
from django_hookflow.transports.memory import memory_transport

EVENTS = 'FROM "django_hookflow_event"'
APPEND = "INSERT INTO django_hookflow_stepexecution"


@pytest.fixture
def boss(world: World) -> Any:
    """The user whom a waiting run asks."""
    user = get_user_model().objects.create_user("boss")

    @workflow
    def asks(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.ask("approve", to=user, timeout="1d").data
        except EventTimeout:
            return "late"

    asks.trigger(run_id="run")
    world.deliver()
    return user


def answer(data: str, by: Any) -> Any:
    return answer_question(Question.objects.get().pk, data, by=by).data


def slow(data: str, by: Any) -> Any:
    with transaction.atomic():
        said = answer(data, by)
        stand()
    return said


def test_of_two_answers_the_first_wins(world: World, boss: Any) -> None:
    first = Actor(lambda: slow("first", boss)).reach()
    second = Actor(lambda: answer("second", boss)).wait_until_blocked()
    first.go()

    assert first.result() == "first"
    with pytest.raises(QuestionClosed, match="answered it at"):
        second.result()
    assert world.finish("run").result == "first"


def test_an_answer_on_its_way_beats_the_time(world: World, boss: Any) -> None:
    world.advance("1d")
    message = memory_transport().waiting.pop()

    sender = Actor(lambda: slow("yes", boss)).reach()
    worker = Actor(lambda: deliver(message)).wait_until_blocked()
    sender.go().result()

    assert worker.result() == (200, "completed")
    assert world.run_of("run").result == "yes"


def test_an_answer_that_a_worker_has_not_seen_beats_the_time(
    world: World, boss: Any
) -> None:
    world.advance("1d")
    message = memory_transport().waiting.pop()

    worker = Actor(lambda: deliver(message), stop_after=EVENTS).reach()
    sender = Actor(lambda: slow("yes", boss)).reach()
    worker.go().wait_until_blocked()
    sender.go().result()

    assert worker.result() == (200, "waiting")
    assert world.finish("run").result == "yes"


def test_an_answer_after_the_end_of_its_time_is_refused(
    world: World, boss: Any
) -> None:
    world.advance("1d")
    message = memory_transport().waiting.pop()

    worker = Actor(lambda: deliver(message), stop_after=APPEND).reach()
    sender = Actor(lambda: answer("yes", boss)).wait_until_blocked()
    worker.go()

    assert worker.result() == (200, "completed")
    with pytest.raises(QuestionClosed, match="expired"):
        sender.result()
    assert world.run_of("run").result == "late"


def test_an_answer_to_a_run_that_is_being_cancelled_is_refused(
    world: World, boss: Any
) -> None:
    def cancel() -> None:
        with transaction.atomic():
            cancel_run("run")
            stand()

    canceller = Actor(cancel).reach()
    sender = Actor(lambda: answer("yes", boss)).wait_until_blocked()
    canceller.go().result()

    with pytest.raises(QuestionClosed, match="closed"):
        sender.result()


def test_a_cancel_waits_for_an_answer_on_its_way(
    world: World, boss: Any
) -> None:
    sender = Actor(lambda: slow("yes", boss)).reach()
    canceller = Actor(lambda: cancel_run("run")).wait_until_blocked()
    sender.go()

    assert (sender.result(), canceller.result()) == ("yes", None)
    assert Question.objects.get().status == "answered"
    assert world.finish("run").status == "cancelled"
