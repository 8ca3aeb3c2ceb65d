"""Questions to people: asked once, answered once, closed with their run."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import QueryDict
from rest_framework import serializers

from django_hookflow import Answer
from django_hookflow import WorkflowContext
from django_hookflow import answer_question
from django_hookflow import cancel_run
from django_hookflow import open_questions
from django_hookflow import reassign_question
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import AnswerNotAllowed
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import InvalidAnswer
from django_hookflow.exceptions import QuestionClosed
from django_hookflow.exceptions import QuestionNotFound
from django_hookflow.models import Event
from django_hookflow.models import Question
from django_hookflow.operations import maintenance
from django_hookflow.races import after
from django_hookflow.races import event
from django_hookflow.races import question
from django_hookflow.testing.world import EPOCH
from django_hookflow.testing.world import World


class Approval(forms.Form):
    approved = forms.BooleanField(required=False)
    limit = forms.DecimalField(max_value=100)


class ApprovalSerializer(serializers.Serializer[Any]):
    limit = serializers.DecimalField(max_digits=5, decimal_places=2)


class ManySerializer(serializers.Serializer[Any]):
    limit = ApprovalSerializer()


@dataclasses.dataclass
class Grant:
    limit: Decimal


@pytest.fixture
def boss() -> Any:
    return get_user_model().objects.create_user("boss", "boss@example.com")


@pytest.fixture
def clerk() -> Any:
    user = get_user_model().objects.create_user("clerk", "clerk@example.com")
    user.groups.add(Group.objects.create(name="clerks"))
    return user


@pytest.fixture
def stranger() -> Any:
    return get_user_model().objects.create_user("stranger")


def asking(**given: Any) -> Any:
    """Return a workflow that asks, and returns the answer as plain data."""

    @workflow
    def asks(ctx: WorkflowContext) -> Any:
        found = ctx.step.ask("approve", **given)
        if not isinstance(found, Answer):
            return found
        return [found.data, found.answered_by, found.answered_at.isoformat()]

    return asks


def test_an_answer_goes_on_with_the_run(every: World, boss: Any) -> None:
    run_id = asking(form=Approval, to=boss, title="May it?").trigger()
    every.deliver()
    (asked,) = open_questions(boss)
    every.advance("1h")

    answer_question(asked.pk, {"limit": "5.50"}, by=boss, via="page")
    run = every.finish(run_id, within="1h")

    when = (EPOCH + timedelta(hours=1)).isoformat()
    data = {"approved": False, "limit": {"$decimal": "5.50"}}
    assert run.result == [data, str(boss.pk), when]
    assert run.deliveries == 2
    asked.refresh_from_db()
    assert (asked.status, asked.via, asked.title, str(asked)) == (
        "answered", "page", "May it?", "May it?",
    )  # fmt: skip
    assert not open_questions(boss).exists()
    assert Question.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "data", "expected"),
    [
        ({"form": Approval}, {"limit": 5}, Decimal(5)),
        ({"schema": ApprovalSerializer}, {"limit": "5.00"}, Decimal("5.00")),
        ({"schema": Grant}, {"limit": 5}, Decimal(5)),
    ],
)
def test_forms_serializers_and_types_check_the_answer(
    world: World, boss: Any, given: Any, data: Any, expected: Decimal
) -> None:
    run_id = asking(to=boss, **given).trigger()
    world.deliver()
    asked = Question.objects.get()

    for bad in ({"limit": "much"}, {}, "much"):
        with pytest.raises(InvalidAnswer) as caught:
            answer_question(asked.pk, bad, by=boss)
        assert [*caught.value.errors] in (["limit"], ["__all__"])
        assert "Correct it and send it again." in str(caught.value)
        assert open_questions(boss).get() == asked
    answer = answer_question(asked.pk, data, by=boss)

    limit = getattr(answer.data, "limit", None) or answer.data["limit"]
    assert limit == expected
    assert world.finish(run_id).status == "completed"


def test_errors_of_a_serializer_in_a_serializer_are_told(
    world: World, boss: Any
) -> None:
    asking(to=boss, schema=ManySerializer).trigger()
    world.deliver()

    with pytest.raises(InvalidAnswer) as caught:
        answer_question(Question.objects.get().pk, {"limit": {}}, by=boss)

    assert "This field is required." in caught.value.errors["limit"][0]


def test_without_a_form_any_data_is_an_answer(world: World, boss: Any) -> None:
    run_id = asking(to=str(boss.pk)).trigger()
    world.deliver()

    answer_question(Question.objects.get().pk, "yes", by=boss)

    assert world.finish(run_id).result[0] == "yes"


@pytest.mark.parametrize("given", [{}, {"schema": Grant}, {"form": Approval}])
def test_a_page_may_give_what_was_posted(
    world: World, boss: Any, given: Any
) -> None:
    asking(to=boss, **given).trigger()
    world.deliver()
    posted = QueryDict("csrfmiddlewaretoken=secret&limit=5")

    found = answer_question(Question.objects.get().pk, posted, by=boss).data

    assert "secret" not in str(found)
    assert str(getattr(found, "limit", None) or found["limit"]) == "5"


def test_the_first_answer_wins(world: World, boss: Any, clerk: Any) -> None:
    run_id = asking(to=boss, group="clerks").trigger()
    world.deliver()
    asked = Question.objects.get()
    answer_question(asked.pk, 1, by=clerk)

    with pytest.raises(QuestionClosed) as caught:
        answer_question(asked.pk, 2, by=boss)

    assert str(caught.value) == (
        f"Question {asked.pk} is answered: user '{clerk.pk}' answered it at "
        "2026-01-01 00:00:00 UTC. Only the first answer to an open question "
        "counts."
    )
    assert world.finish(run_id).result[0] == 1


@pytest.mark.parametrize(
    "given", [{"to": "group"}, {"group": "group"}, {"group": "clerks"}]
)
def test_a_group_is_asked_as_a_group_or_by_name(
    world: World, clerk: Any, boss: Any, given: dict[str, str]
) -> None:
    group = Group.objects.get(name="clerks")
    asking(
        **{k: group if v == "group" else v for k, v in given.items()}
    ).trigger()
    world.deliver()

    assert open_questions(clerk).count() == 1
    assert open_questions(boss).count() == 0


def test_only_those_who_are_asked_may_answer(
    world: World, boss: Any, stranger: Any
) -> None:
    run_id = asking(to=boss).trigger()
    world.deliver()
    asked = Question.objects.get()
    boss.is_active = False
    for user in (boss, stranger, get_user_model()(username="new")):
        with pytest.raises(AnswerNotAllowed) as caught:
            answer_question(asked.pk, 1, by=user)
        assert isinstance(caught.value, PermissionDenied)
    assert "is not for user 'new'" in str(caught.value)

    right = Permission.objects.get(codename="answer_any_question")
    stranger.user_permissions.add(right)
    stranger = get_user_model().objects.get(pk=stranger.pk)
    answer_question(asked.pk, 1, by=stranger)

    assert world.finish(run_id).result[1] == str(stranger.pk)


def test_an_account_without_groups_and_rights_may_answer_its_own(
    world: World,
) -> None:
    class Account:
        pk, is_active = "k1", True

    account: Any = Account()
    run_id = asking(to="k1").trigger()
    world.deliver()
    (asked,) = open_questions(account)
    other: Any = Account()
    other.pk = "k2"
    with pytest.raises(AnswerNotAllowed):
        answer_question(asked.pk, 1, by=other)

    answer_question(asked.pk, 1, by=account)

    assert world.finish(run_id).result[1] == "k1"
    assert mail.outbox == []


def test_a_question_goes_to_other_people(
    world: World, boss: Any, clerk: Any
) -> None:
    asking(to=boss).trigger()
    world.deliver()
    asked = Question.objects.get()

    reassign_question(asked.pk, group=clerk.groups.get(), by=boss)
    with pytest.raises(AnswerNotAllowed):
        reassign_question(asked.pk, to=boss, by=boss)
    assert open_questions(clerk).get() == asked
    reassign_question(asked.pk, to=boss, by=clerk)
    assert open_questions(boss).get() == asked
    told = [message.to[0].partition("@")[0] for message in mail.outbox]
    assert told == ["boss", "clerk", "boss"]
    with pytest.raises(ValueError, match="Invalid user or group ''"):
        reassign_question(asked.pk, by=boss)


def test_an_unknown_question_is_an_error(world: World, boss: Any) -> None:
    with pytest.raises(QuestionNotFound, match="No question has the id 4711"):
        answer_question(4711, 1, by=boss)


@pytest.mark.parametrize("value", ["raise", "nobody", None])
def test_a_question_that_is_not_answered_in_time_expires(
    every: World, boss: Any, value: Any
) -> None:
    @workflow
    def asks(ctx: WorkflowContext) -> Any:
        try:
            return ctx.step.ask(
                "approve", to=boss, timeout="2d", on_timeout=value
            )
        except EventTimeout as error:
            return error.error

    run_id = asks.trigger()
    every.pass_time("47h")
    assert open_questions(boss).exists()
    run = every.finish(run_id)

    late = "no answer since 2026-01-01 00:00:00"
    assert run.result == (late if value == "raise" else value)
    assert run.completed_at == EPOCH + timedelta(days=2)
    assert Question.objects.get().status == "expired"
    with pytest.raises(QuestionClosed, match="its time is over"):
        answer_question(Question.objects.get().pk, 1, by=boss)


def test_an_answer_that_was_accepted_beats_the_time(
    world: World, boss: Any
) -> None:
    run_id = asking(to=boss, timeout="2d").trigger()
    world.deliver()
    world.advance("3d")

    answer_question(Question.objects.get().pk, "late", by=boss)

    assert world.finish(run_id).result[0] == "late"


@pytest.mark.parametrize("wins", ["asked", "paid", "late"])
def test_a_question_can_be_in_a_race(
    every: World, boss: Any, wins: str
) -> None:
    @workflow
    def races(ctx: WorkflowContext) -> Any:
        name, value = ctx.step.first(
            "race",
            paid=event("payment"),
            asked=question(to=boss, schema=Grant),
            other=question(group="clerks"),
            late=after("2d"),
        )
        return [name, getattr(value, "data", value)]

    run_id = races.trigger()
    every.deliver()
    first, second = Question.objects.all()
    assert (first.step_id, second.step_id) == ("race.asked", "race.other")
    if wins == "asked":
        answer_question(first.pk, {"limit": 1}, by=boss)
    if wins == "paid":
        send_event("payment", 5, run_id=run_id)
    run = every.finish(run_id)

    assert run.result[0] == wins
    ends = [*Question.objects.values_list("status", flat=True)]
    lost = ["closed", "closed"]
    assert ends == (["answered", "closed"] if wins == "asked" else lost)
    assert run.step_executions.count() == 1


@pytest.mark.parametrize("end", ["cancelled", "failed", "compensated"])
def test_a_run_that_ends_closes_its_questions(
    every: World, boss: Any, end: str
) -> None:
    @workflow(timeout="1d" if end == "failed" else None)
    def asks(ctx: WorkflowContext) -> Any:
        undo = str if end == "compensated" else None
        ctx.step.options(compensate=undo).run("begin", str)
        return ctx.step.ask("approve", to=boss, remind=["3d"])

    run_id = asks.trigger()
    every.deliver()
    if end != "failed":
        cancel_run(run_id)
        assert Question.objects.get().status == "closed"
    run = every.finish(run_id)

    asked = Question.objects.get()
    assert (run.status, asked.status) == (end, "closed")
    assert asked.remind_at is None


def test_a_question_that_a_deploy_removes_and_brings_back_is_asked_again(
    world: World, boss: Any
) -> None:
    asks = [True]

    @workflow
    def changes(ctx: WorkflowContext) -> Any:
        if not asks:
            ctx.step.wait_for_event("other", "other")
        return ctx.step.ask("approve", to=boss).data

    run_id = changes.trigger()
    world.deliver()
    for deployed in ([], [True]):
        asks[:] = deployed
        maintenance.look_again_at_all()
        world.deliver()
        status = "open" if asks else "closed"
        assert Question.objects.get().status == status
    answer_question(Question.objects.get().pk, "yes", by=boss)

    assert world.finish(run_id).result == "yes"


def test_only_an_answer_answers(world: World) -> None:
    run_id = asking().trigger()
    world.deliver()

    with pytest.raises(ValueError, match="only answer_question"):
        send_event("hookflow.answer:approve", 1, run_id=run_id)


def test_people_are_told_by_mail_and_reminded_until_they_answer(
    world: World, boss: Any, clerk: Any, settings: Any
) -> None:
    settings.DJANGO_HOOKFLOW_QUESTION_URL = "https://shop.example/q/{id}/"
    run_id = asking(
        to=boss,
        title="May it?",
        description="It costs 5.",
        timeout="9d",
        remind=["1d", "3d"],
        escalate=("2d", "clerks"),
    ).trigger()
    world.deliver()
    asked = Question.objects.get()
    for _ in range(4):
        world.advance("1d")
        maintenance.sweep()
        maintenance.sweep()
    answer_question(asked.pk, 1, by=clerk)
    world.finish(run_id)

    assert [(m.to, m.subject) for m in mail.outbox] == [
        (["boss@example.com"], "May it?"),
        (["boss@example.com"], "Reminder: May it?"),
        (["clerk@example.com"], "Reminder: May it?"),
        (["clerk@example.com"], "Reminder: May it?"),
    ]
    assert mail.outbox[0].body == (
        "May it?\n\nIt costs 5.\n\nPlease answer before 2026-01-10 00:00 "
        f"UTC.\n\nhttps://shop.example/q/{asked.pk}/"
    )


def test_mail_goes_to_active_people_with_an_address_if_at_all(
    world: World, boss: Any, stranger: Any, settings: Any
) -> None:
    get_user_model().objects.filter(pk=boss.pk).update(is_active=False)
    asks = asking(group="clerks")
    asks.trigger()
    world.deliver()
    assert mail.outbox == []
    for to in (boss, stranger, None, "no key"):
        Question.objects.all().delete()

        @workflow(workflow_id=f"asks-{to}")
        def again(ctx: WorkflowContext, to: Any = to) -> None:
            ctx.step.ask("approve", to=to)

        again.trigger()
        world.deliver()
        assert Question.objects.count() == 1
    assert mail.outbox == []
    boss.save()
    settings.DJANGO_HOOKFLOW_QUESTION_EMAILS = False

    @workflow
    def last(ctx: WorkflowContext) -> None:
        ctx.step.ask("approve", to=boss)

    last.trigger()
    world.deliver()
    assert mail.outbox == []


def test_an_answer_is_written_with_the_wake_of_its_run_or_not_at_all(
    world: World, boss: Any
) -> None:
    asking(to=boss).trigger()
    world.deliver()
    asked = Question.objects.get()

    with pytest.raises(TypeError, match="The answer to question"):
        answer_question(asked.pk, object(), by=boss)

    assert open_questions(boss).get().answered_at is None
    assert Event.objects.count() == 0


def test_a_form_that_is_gone_is_named(world: World, boss: Any) -> None:
    asking(to=boss, form=Approval).trigger()
    world.deliver()
    Question.objects.update(form="orders.forms:Gone")

    with pytest.raises(ImproperlyConfigured, match=r"orders\.forms:Gone"):
        answer_question(Question.objects.get().pk, {}, by=boss)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"title": "a\nb"}, "has the title 'a\\nb'"),
        ({"title": 5}, "has the title 5"),
        ({"to": 5}, "was given to=5"),
        ({"group": 5}, "was given the group 5"),
        ({"form": Approval, "schema": Grant}, "to check its answer"),
        ({"schema": list[int]}, "to check its answer"),
        ({"schema": 5}, "to check its answer"),
        ({"timeout": "soon"}, "cannot wait for 'soon'"),
        ({"remind": ["soon"]}, "cannot wait for 'soon'"),
    ],
)
def test_a_question_that_makes_no_sense_fails_its_run(
    every: World, given: dict[str, Any], said: str
) -> None:
    run = every.finish(asking(**given).trigger())

    assert run.status == "failed"
    assert said in run.error_message
    assert not Question.objects.exists()


@pytest.mark.parametrize("is_race", [False, True])
def test_an_answer_that_comes_as_its_time_ends_is_not_lost(
    every: World, boss: Any, is_race: bool
) -> None:
    looks: list[str] = []

    def answer_after_the_look(
        execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("SELECT") and 'FROM "django_hookflow_event"' in sql:
            looks.append(sql)
            if len(looks) == 1:
                asked = Question.objects.get()
                answer_question(asked.pk, "in time", by=boss)
        return result

    @workflow
    def asks(ctx: WorkflowContext) -> Any:
        if not is_race:
            return ctx.step.ask("approve", to=boss, timeout="1d").data
        _, value = ctx.step.first(
            "race", asked=question(to=boss), late=after("1d")
        )
        return value.data

    run_id = asks.trigger()
    every.deliver()
    every.advance("1d")
    with connection.execute_wrapper(answer_after_the_look):
        every.deliver()

    assert every.finish(run_id).result == "in time"
    assert Question.objects.get().status == "answered"


def test_questions_are_erased_with_their_run(world: World, boss: Any) -> None:
    run_id = asking(to=boss).trigger()
    world.deliver()

    erased = maintenance.erase(run_id, and_open=True, dry_run=False)

    assert (erased.runs, Question.objects.count()) == (1, 0)
