"""Mistakes that authors of workflows make, each beside its cure.

A case is a test as an owner would write it: it passes when nothing goes
wrong. With `fixed=False` its workflow has the mistake, with `fixed=True` the
same workflow has not. test_corpus.py has the kit judge both.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.core.mail import send_mail
from django.db.models import F
from django.utils import timezone

from django_hookflow import Compensation
from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import StepInterrupted
from django_hookflow.exceptions import WorkflowError
from django_hookflow.testing import Hookflow

Case = Callable[[Hookflow, bool], None]

CASES: list[Case] = []


def case(function: Case) -> Case:
    CASES.append(function)
    return function


class Provider:
    """Takes money; the same key again is the same charge."""

    def __init__(self) -> None:
        self.charges: dict[str, int] = {}
        self.refunds: Counter[str] = Counter()

    def charge(self, amount: int, key: str = "") -> str:
        name = key or f"charge {len(self.charges)}"
        self.charges.setdefault(name, amount)
        return name

    def refund(self, name: str) -> None:
        self.refunds[name] += 1

    @property
    def total(self) -> int:
        return sum(self.charges.values())


def letter(subject: str) -> None:
    send_mail(subject, "", None, ["ada@example.com"])


def subjects() -> list[str]:
    return [one.subject for one in mail.outbox]


# Effects that happen again.


@case
def charge_without_a_key(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def order(ctx: WorkflowContext) -> str:
        key = ctx.idempotency_key("charge") if fixed else ""
        ctx.step.run("charge", provider.charge, 10, key)
        return "paid"

    assert hookflow.run(order).result == "paid"
    assert provider.total == 10


@case
def key_made_in_the_step(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def order(ctx: WorkflowContext) -> None:
        key = ctx.idempotency_key("charge")

        def charge() -> str:
            return provider.charge(10, key if fixed else uuid.uuid4().hex)

        ctx.step.run("charge", charge)

    hookflow.run(order)
    assert provider.total == 10


@case
def key_with_the_time(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def order(ctx: WorkflowContext) -> None:
        now = ctx.now() if fixed else timezone.now()
        ctx.step.run("charge", provider.charge, 10, f"order-7-{now}")

    hookflow.run(order)
    assert provider.total == 10


@case
def mail_beside_rows(hookflow: Hookflow, fixed: bool) -> None:
    def record() -> None:
        Group.objects.get_or_create(name="paid")

    def record_and_tell() -> None:
        record()
        letter("Paid")

    @workflow
    def order(ctx: WorkflowContext) -> None:
        if not fixed:
            ctx.step.run("record", record_and_tell)
            return
        ctx.step.run("record", record)
        once = ctx.step.options(at_most_once=True, optional=True)
        once.run("tell", letter, "Paid")

    assert hookflow.run(order).status == "completed"
    assert len(subjects()) <= 1


@case
def row_created_again(hookflow: Hookflow, fixed: bool) -> None:
    def create(run_id: str) -> int:
        name = f"invoice of {run_id}"
        if fixed:
            return User.objects.get_or_create(username=name)[0].pk
        return User.objects.create(username=f"{name} {uuid.uuid4()}").pk

    @workflow
    def bill(ctx: WorkflowContext) -> int:
        return ctx.step.run("invoice", create, ctx.run_id)

    run = hookflow.run(bill)
    assert [user.pk for user in User.objects.all()] == [run.result]


@case
def number_by_counting(hookflow: Hookflow, fixed: bool) -> None:
    def create() -> str:
        name = f"invoice {Group.objects.count() + 1}"
        return Group.objects.create(name=name).name

    @workflow
    def bill(ctx: WorkflowContext) -> str:
        return ctx.step.options(atomic=fixed).run("invoice", create)

    assert hookflow.run(bill).result == "invoice 1"


@case
def counter_incremented(hookflow: Hookflow, fixed: bool) -> None:
    user = User.objects.create(username="ada")
    LogEntry.objects.create(user=user, action_flag=0)

    def add() -> None:
        LogEntry.objects.update(action_flag=F("action_flag") + 1)

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.options(atomic=fixed).run("add", add)

    hookflow.run(order)
    assert LogEntry.objects.get().action_flag == 1


@case
def switch_toggled(hookflow: Hookflow, fixed: bool) -> None:
    user = User.objects.create(username="ada", is_active=False)

    def switch() -> None:
        user.refresh_from_db()
        user.is_active = fixed or not user.is_active
        user.save()

    @workflow
    def activate(ctx: WorkflowContext) -> None:
        ctx.step.run("activate", switch)

    hookflow.run(activate)
    assert User.objects.get().is_active


@case
def text_appended(hookflow: Hookflow, fixed: bool) -> None:
    user = User.objects.create(username="ada")

    def note() -> None:
        user.refresh_from_db()
        user.first_name += "paid;"
        user.save()

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.options(atomic=fixed).run("note", note)

    hookflow.run(order)
    assert User.objects.get().first_name == "paid;"


@case
def cache_incremented(hookflow: Hookflow, fixed: bool) -> None:
    cache.clear()
    cache.set("orders", 0)

    def count(key: str) -> None:
        if not fixed or cache.add(key, 1):
            cache.incr("orders")

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.run("count", count, ctx.idempotency_key("count"))

    hookflow.run(order)
    assert cache.get("orders") == 1


@case
def charge_in_an_atomic_step(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    def charge_and_record() -> None:
        provider.charge(10)
        Group.objects.create(name="paid")

    @workflow
    def order(ctx: WorkflowContext) -> None:
        rows = ctx.step.options(atomic=True)
        if fixed:
            key = ctx.idempotency_key("charge")
            ctx.step.run("charge", provider.charge, 10, key)
            rows.run("record", lambda: Group.objects.create(name="paid").pk)
        else:
            rows.run("charge", charge_and_record)

    hookflow.run(order)
    assert (provider.total, Group.objects.count()) == (10, 1)


@case
def event_without_an_id(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def parcels(ctx: WorkflowContext) -> int:
        for number in range(3):
            try:
                ctx.step.wait_for_event(f"parcel-{number}", "parcel", "1h")
            except EventTimeout:
                return number
        return 3

    def tell(run_id: str, event_id: str | None) -> None:
        send_event("parcel", run_id=run_id, event_id=event_id)

    @workflow
    def sender(ctx: WorkflowContext) -> None:
        event_id = ctx.idempotency_key("tell") if fixed else None
        ctx.step.run("tell", tell, ctx.data["to"], event_id)

    receiver = hookflow.run(parcels)
    hookflow.run(sender, {"to": receiver.run_id})
    assert receiver.advance("2h").result == 1


@case
def run_triggered_again(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def shipment(ctx: WorkflowContext) -> None:
        key = ctx.idempotency_key("ship")
        ctx.step.run("ship", provider.charge, 1, key)

    @workflow
    def order(ctx: WorkflowContext) -> None:
        if fixed:
            ctx.start_workflow(shipment)
        else:
            ctx.step.run("start", lambda: shipment.trigger())

    hookflow.run(order)
    assert provider.total == 1


@case
def branch_without_a_key(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def payroll(ctx: WorkflowContext) -> None:
        def pay(person: str) -> None:
            key = f"{ctx.run_id}-{person}" if fixed else ""
            ctx.step.run("pay", provider.charge, 5, key)

        ctx.step.map("each", pay, ["ada", "bob"])

    assert hookflow.run(payroll).status == "completed"
    assert provider.total == 10


@case
def child_without_a_key(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def pay(ctx: WorkflowContext) -> str:
        key = ctx.idempotency_key("charge") if fixed else ""
        return ctx.step.run("charge", provider.charge, 10, key)

    @workflow
    def order(ctx: WorkflowContext) -> str:
        return ctx.step.invoke("pay", pay)

    hookflow.run(order)
    assert provider.total == 10


@case
def poll_that_orders_again(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def report(ctx: WorkflowContext) -> None:
        def ask() -> bool:
            key = ctx.idempotency_key("ready") if fixed else ""
            return bool(provider.charge(1, key))

        ctx.step.until("ready", ask, every="1m")

    hookflow.run(report)
    assert provider.total == 1


@case
def file_written_under_another_name(hookflow: Hookflow, fixed: bool) -> None:
    files: dict[str, str] = {}

    def write(key: str) -> str:
        name = key if fixed else f"report-{len(files)}"
        files[name] = "…"
        return name

    @workflow
    def report(ctx: WorkflowContext) -> str:
        return ctx.step.run("write", write, ctx.idempotency_key("write"))

    run = hookflow.run(report)
    assert list(files) == [run.result]


@case
def marker_before_the_effect(hookflow: Hookflow, fixed: bool) -> None:
    user = User.objects.create(username="ada")
    LogEntry.objects.create(user=user, action_flag=0)

    def add_points() -> None:
        _, is_new = Group.objects.get_or_create(name="points of order 7")
        if is_new:
            LogEntry.objects.update(action_flag=F("action_flag") + 5)

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.options(atomic=fixed).run("points", add_points)

    hookflow.run(order)
    assert LogEntry.objects.get().action_flag == 5


@case
def token_kept_in_memory(hookflow: Hookflow, fixed: bool) -> None:
    session: dict[str, str] = {}

    def log_in() -> str:
        session["token"] = "secret"
        return session["token"]

    @workflow
    def order(ctx: WorkflowContext) -> str:
        token = ctx.step.run("log in", log_in)

        def use() -> str:
            return token if fixed else session["token"]

        return ctx.step.run("charge", use)

    assert hookflow.run(order).result == "secret"


# Undos.


def failing_order(provider: Provider, undo: Callable[[Any], None]) -> Any:
    @workflow
    def order(ctx: WorkflowContext) -> None:
        key = ctx.idempotency_key("charge")
        step = ctx.step.options(compensate=undo)
        step.run("charge", provider.charge, 10, key)
        ctx.step.run("ship", sold_out)

    return order


def sold_out() -> None:
    raise PermanentError("sold out")


@case
def undo_that_refunds_again(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    def refund(name: str) -> None:
        if not (fixed and provider.refunds[name]):
            provider.refund(name)

    run = hookflow.run(failing_order(provider, refund))
    assert run.status == "compensated"
    assert [*provider.refunds.values()] == [1]


@case
def undo_of_what_is_newest(hookflow: Hookflow, fixed: bool) -> None:
    Group.objects.create(name="older")

    def create() -> str:
        group, _ = Group.objects.get_or_create(name="booking")
        return str(group.name)

    def delete(name: str) -> None:
        if fixed:
            Group.objects.filter(name=name).delete()
            return
        newest = Group.objects.order_by("-pk").first()
        if newest is not None:
            newest.delete()

    @workflow
    def book(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=delete).run("book", create)
        ctx.step.run("ship", sold_out)

    hookflow.run(book)
    assert [group.name for group in Group.objects.all()] == ["older"]


@case
def undo_that_adds(hookflow: Hookflow, fixed: bool) -> None:
    stock = {"mug": 9}

    def give_back(before: int) -> None:
        stock["mug"] = before if fixed else stock["mug"] + 1

    def take() -> int:
        stock["mug"] = 8
        return 9

    @workflow
    def order(ctx: WorkflowContext) -> None:
        ctx.step.options(compensate=give_back).run("take", take)
        ctx.step.run("ship", sold_out)

    hookflow.run(order)
    assert stock == {"mug": 9}


@case
def undo_only_of_what_is_known(hookflow: Hookflow, fixed: bool) -> None:
    booked: set[str] = set()

    @workflow
    def trip(ctx: WorkflowContext) -> None:
        undo = Compensation(
            lambda _: booked.clear(),
            when="attempted" if fixed else "completed",
        )
        step = ctx.step.options(at_most_once=True, compensate=undo)
        step.run("book", booked.add, "flight")

    run = hookflow.run(trip)
    assert (run.status == "completed") == bool(booked)


# Failures that are swallowed.


@case
def exception_that_hides_an_unknown_end(
    hookflow: Hookflow, fixed: bool
) -> None:
    provider = Provider()

    @workflow
    def order(ctx: WorkflowContext) -> str:
        key = ctx.idempotency_key("charge")
        once = ctx.step.options(at_most_once=True)
        try:
            once.run("charge", provider.charge, 10, key)
        except StepInterrupted:
            if not fixed:
                return "unpaid"
            found = ctx.step.run("look", lambda: key in provider.charges)
            return "paid" if found else "unpaid"
        except WorkflowError:
            return "unpaid"
        return "paid"

    paid = hookflow.run(order).result == "paid"
    assert paid == bool(provider.total)


@case
def exception_that_hides_all(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def order(ctx: WorkflowContext) -> str:
        step = ctx.step.options(at_most_once=not fixed)
        key = ctx.idempotency_key("charge")
        try:
            step.run("charge", provider.charge, 10, key)
        except Exception:
            ctx.step.run("apologize", str)
        return "done"

    assert hookflow.run(order).result == "done"
    assert "apologize" not in hookflow.called


@case
def optional_step_that_is_needed(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()
    shipped: set[str] = set()

    @workflow
    def order(ctx: WorkflowContext) -> None:
        step = ctx.step.options(at_most_once=True, optional=not fixed)
        step.run("charge", provider.charge, 10, "order-7")
        ctx.step.run("ship", shipped.add, "mug")

    hookflow.run(order)
    assert not shipped or provider.total == 10


# What the function does outside of its steps.


@case
def charge_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def order(ctx: WorkflowContext) -> None:
        key = ctx.idempotency_key("charge")
        if fixed:
            ctx.step.run("charge", provider.charge, 10, key)
        else:
            provider.charge(10)
        ctx.step.run("thank", str)

    hookflow.run(order)
    assert provider.total == 10


@case
def row_written_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> None:
        groups = Group.objects
        if fixed:
            atomic = ctx.step.options(atomic=True)
            atomic.run("record", lambda: groups.create(name="paid").pk)
        else:
            groups.get_or_create(name="paid")
            groups.filter(name="paid").update(name="paid")

    hookflow.run(order)
    assert Group.objects.count() == 1


@case
def run_triggered_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def other(ctx: WorkflowContext) -> None: ...

    @workflow
    def order(ctx: WorkflowContext) -> None:
        if fixed:
            ctx.start_workflow(other)
        else:
            other.trigger()

    assert hookflow.run(order).status == "completed"


@case
def event_sent_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> None:
        if fixed:
            key = ctx.idempotency_key("tell")

            def tell() -> None:
                send_event("paid", match=7, event_id=key)

            ctx.step.run("tell", tell)
        else:
            send_event("paid", match=7)

    assert hookflow.run(order).status == "completed"


@case
def mail_sent_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> None:
        if fixed:
            once = ctx.step.options(at_most_once=True, optional=True)
            once.run("tell", letter, "Paid")
        else:
            letter("Paid")

    hookflow.run(order)
    assert len(subjects()) <= 1


@case
def row_read_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    def is_new() -> bool:
        return not Group.objects.filter(name="paid").exists()

    @workflow
    def order(ctx: WorkflowContext) -> str:
        new = ctx.step.run("look", is_new) if fixed else is_new()
        if not new:
            return "known"
        atomic = ctx.step.options(atomic=True)
        atomic.run("record", lambda: Group.objects.create(name="paid").pk)
        return "recorded"

    assert hookflow.run(order).result == "recorded"


@case
def time_of_two_steps(hookflow: Hookflow, fixed: bool) -> None:
    booked: dict[str, Any] = {}

    @workflow
    def trip(ctx: WorkflowContext) -> None:
        when = ctx.now() if fixed else timezone.now()
        ctx.step.run("flight", booked.__setitem__, "flight", when)
        ctx.step.run("hotel", booked.__setitem__, "hotel", when)

    hookflow.run(trip)
    assert booked["flight"] == booked["hotel"]


@case
def time_in_the_result(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> Any:
        ctx.step.run("charge", str)
        return {"at": str(ctx.now() if fixed else timezone.now())}

    assert hookflow.run(order).result["at"]


@case
def branch_by_chance(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def offer(ctx: WorkflowContext) -> None:
        number = (ctx.random() if fixed else random).random()
        ctx.step.run(f"offer {number}", str)

    assert hookflow.run(offer).status == "completed"


@case
def price_by_chance(hookflow: Hookflow, fixed: bool) -> None:
    told: dict[str, float] = {}

    @workflow
    def offer(ctx: WorkflowContext) -> None:
        price = (ctx.random() if fixed else random).random()
        ctx.step.run("offer", told.__setitem__, "offer", price)
        ctx.step.run("bill", told.__setitem__, "bill", price)

    hookflow.run(offer)
    assert told["offer"] == told["bill"]


@case
def key_made_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    provider = Provider()

    @workflow
    def order(ctx: WorkflowContext) -> None:
        key = (ctx.uuid4() if fixed else uuid.uuid4()).hex
        ctx.step.run("charge", provider.charge, 10, key)

    hookflow.run(order)
    assert provider.total == 10


@case
def match_made_outside_of_a_step(hookflow: Hookflow, fixed: bool) -> None:
    asked: list[str] = []

    @workflow
    def order(ctx: WorkflowContext) -> str:
        token = (ctx.uuid4() if fixed else uuid.uuid4()).hex
        ctx.step.run("ask", asked.append, token)
        ctx.step.wait_for_event("paid", "paid", match=token)
        return "paid"

    run = hookflow.run(order)
    hookflow.send_event("paid", match=asked[-1])
    assert run.result == "paid"


@case
def variable_set_in_a_step(hookflow: Hookflow, fixed: bool) -> None:
    @workflow
    def order(ctx: WorkflowContext) -> int:
        lines: list[str] = []

        def add(line: str) -> list[str]:
            lines.append(line)
            return [line]

        first = ctx.step.run("first", add, "mug")
        second = ctx.step.run("second", add, "pot")
        total = first + second if fixed else lines
        return ctx.step.run("count", len, total)

    assert hookflow.run(order).result == 2


@case
def id_by_position(hookflow: Hookflow, fixed: bool) -> None:
    for name in ("ada", "bob"):
        User.objects.create(username=name)

    def open_users() -> list[int]:
        active = User.objects.filter(is_active=True)
        return list(active.order_by("pk").values_list("pk", flat=True))

    def close(pk: int) -> None:
        User.objects.filter(pk=pk).update(is_active=False)

    @workflow
    def close_all(ctx: WorkflowContext) -> None:
        found = ctx.step.run("find", open_users) if fixed else open_users()
        for number, pk in enumerate(found):
            ctx.step.run(f"close-{number}", close, pk)

    assert hookflow.run(close_all).status == "completed"
    assert not User.objects.filter(is_active=True).exists()


@case
def memory_of_the_process(hookflow: Hookflow, fixed: bool) -> None:
    seen: set[str] = set()

    def is_new(order: str) -> bool:
        return order not in seen

    @workflow
    def order(ctx: WorkflowContext) -> str:
        new = ctx.step.run("look", is_new, "7") if fixed else is_new("7")
        if not new:
            return "known"
        ctx.step.run("remember", seen.add, "7")
        return "done"

    assert hookflow.run(order).result == "done"
