"""Workflow functions; a comment names the warning of its line."""

from __future__ import annotations

import random as dice
import secrets
import time
import urllib.request
import uuid
from datetime import UTC
from datetime import date
from datetime import datetime
from time import time as seconds
from typing import Any

from django.contrib.auth.models import Group
from django.core.mail import EmailMessage
from django.core.mail import send_mail
from django.shortcuts import get_object_or_404
from django.utils import timezone

from django_hookflow import Compensation
from django_hookflow import send_event
from django_hookflow import step
from django_hookflow.workflows.registry import get_workflow

CHARGE = "charge"


def book(*_: Any) -> str:
    return "flight"


def cancel(_: Any) -> None: ...


def clock(ctx: Any) -> Any:
    ctx.step.run("book", book, timezone.now())  # W101
    if datetime.now(tz=UTC).hour > 12:  # W101
        return date.today()  # W101  # noqa: DTZ011
    started = seconds()  # W101
    timezone.localtime()  # W101
    timezone.localtime(ctx.now())
    time.sleep(1)  # W107
    return [started, time.monotonic()]  # W101


def chance(ctx: Any) -> Any:
    number = dice.random()  # W102
    number += dice.Random(7).random()
    random = ctx.random()
    number += random.random()
    key = uuid.uuid4().hex  # W102
    token = secrets.token_hex()  # W102
    secrets.compare_digest(token, "token")
    name = uuid.uuid5(uuid.NAMESPACE_URL, "order").hex
    return ctx.step.run("book", book, key, token, name, ctx.uuid4(), number)


def rows(ctx: Any) -> None:
    group = Group.objects.get(name="staff")  # W104
    group.name = "people"
    group.save()  # W103
    Group(name="new").save()  # W103
    Group.objects.filter(name="old").delete()  # W103
    groups = Group.objects
    groups.create(name="new")  # W103
    Group.objects.bulk_create([Group(name="a")])  # W103
    group.refresh_from_db()  # W104
    get_object_or_404(Group, pk=1)  # W104
    settings = {"a": 1}
    settings.update(b=2)
    ctx.data.update(c=3)
    set(settings).discard("a")
    Group.objects.none()


def outside(ctx: Any) -> None:
    import requests  # type: ignore[import-untyped,unused-ignore]

    requests.get("https://example.com", timeout=1)  # W105
    with urllib.request.urlopen("https://example.com") as answer:  # W105
        answer.read()
    urllib.request.Request("https://example.com")
    send_mail("Paid", "", None, [])  # W106
    EmailMessage("Paid").send()  # W106
    send_event("paid", match=7)  # W111
    get_workflow("other").trigger()  # W111
    get_workflow(ctx.data["name"]).trigger()  # W111


def helped(ctx: Any) -> None:
    def inner() -> None:
        remind(ctx, name="second")

    def stepped() -> float:
        return time.time()

    class Ours:
        now = 1

        def clock(self) -> float:
            return time.time()

    remind(ctx, "first")
    inner()
    ctx.step.run("later", lambda: time.time())
    ctx.step.run("stepped", stepped)
    helped(ctx)
    Ours()


def remind(ctx: Any, name: str, *rest: Any) -> None:
    ctx.step.run(name, book, time.time())  # W101


def accepted(ctx: Any) -> None:
    started = time.time()  # hookflow: ok
    ctx.step.run("book", book, started)


def the_same_id(ctx: Any) -> None:
    ctx.step.run("book", book)
    ctx.step.run(CHARGE, book)
    ctx.step("book", book).timeout(3).run()  # W108
    if ctx.data["a"]:
        ctx.step.sleep("rest", "1h")
    else:
        ctx.step.sleep("rest", "2h")
    ctx.step.sleep("rest", "3h")  # W108
    ctx.step.call(step_id="charge", url="https://example.com")  # W108
    ctx.start_workflow("mail")
    ctx.start_workflow("mail", step_id="another")
    ctx.start_workflow("mail")  # W108


def the_same_id_in_a_loop(ctx: Any) -> None:
    for line in ctx.data["lines"]:
        ctx.step.run("line", book, line)  # W108
        if line == "other":
            continue
        ctx.step.run(f"line {line}", book, line)
    name = "start"
    for line in ctx.data["lines"]:
        ctx.step.run(name, book)
        name = f"line {line}"
    for line in ctx.data["lines"]:
        if line == "mug":
            ctx.step.run("mug", book)
            break
    while True:
        ctx.step.run(f"poll {name}", book)
        name = "again"
        break
    while ctx.step.run("ready", book):  # W108
        ctx.step.sleep(f"rest {name}", 5)
    refund(ctx)
    refund(ctx)


def the_same_id_in_an_expression(ctx: Any) -> None:
    lines: list[str] = ctx.data["lines"]
    total: int
    [ctx.step.run("each", book, one) for one in lines]  # W108
    {one: ctx.step.run(f"one {one}", book) for one in lines if one}
    total = len(lines)
    total += 1
    if (found := ctx.step.run("find", book, total)) and not total:
        ctx.step.run("find", book, found)  # W108
    for one in lines:
        if ctx.step.run(f"see {one}", book):
            continue
    while total:
        if found:
            return
        raise ValueError(total)


def refund(ctx: Any) -> None:
    ctx.step.run("refund", book)  # W108


def the_same_id_on_other_paths(ctx: Any) -> Any:
    if ctx.data["a"]:
        ctx.step.run("pay", book)
        return "a"
    if ctx.data["b"]:
        ctx.step.run("pay", book)
    if not ctx.data["b"]:
        ctx.step.run("pay", book)
    try:
        ctx.step.run("ship", book)
    except ValueError:
        ctx.step.run("ship", book)
    match ctx.data["c"]:
        case "mug" as what:
            ctx.step.run("pack", book, what)
        case [_, *_]:
            ctx.step.run("pack", book)
    word = ctx.data["d"] and ctx.step.run("word", book)
    word = word or ctx.step.run("other word", book)
    text = ctx.step.run("yes", book) if word else ctx.step.run("no", book)
    if ctx.data["e"]:
        name = "left"
    else:
        name = "right"
        ctx.log.info("right")
    ctx.step.run(name, book)
    ctx.step.run("right", book)
    ctx.step.map("all", in_a_branch, [1, 2])
    ctx.step.map("more", in_a_branch, [1, 2])
    return text


def in_a_branch(item: int) -> Any:
    def work(ctx: Any) -> None:
        ctx.step.run("work", book, item)

    return work


def twice_in_a_branch(ctx: Any) -> None:
    def work(item: int) -> None:
        ctx.step.run("work", book, item)
        ctx.step.run("work", book, item)  # W108

    def plain(item: int) -> float:
        return time.time() + item

    ctx.step.map("plain", plain, [1])
    ctx.step.map("all", work, [1])
    ctx.step.parallel("some", {"work": (work, 1), "book": book, **ctx.data})
    ctx.step.parallel("others", ctx.data)


def swallowing(ctx: Any) -> None:
    try:
        ctx.step.run("a", book)
    except BaseException:  # W109
        ctx.log.info("failed")
    try:
        ctx.step.run("b", book)
    except:  # W109  # noqa: E722
        ctx.log.info("failed")
    try:
        ctx.step.run("c", book)
    except (ValueError, BaseException) as error:
        ctx.log.info("failed: %s", error)
        raise
    try:
        ctx.step.run("d", book)
    except Exception:
        ctx.log.info("failed")
    else:
        ctx.step.run("e", book)
    finally:
        ctx.step.run("f", book)
    try:
        int("7")
    except BaseException:
        ctx.log.info("failed")


def elsewhere(ctx: Any) -> Any:
    from django.utils.timezone import now

    from .mistaken import limited_book as booked

    first = now()  # W101
    remind(ctx, "remind", 1)
    steps = ctx.step
    steps("limited", booked).run()
    steps.first("race", paid=1, late=2)
    steps.parallel("both", {"a": (), "b": (book, 1)})
    SHORTENED("a")
    match "".join(ctx.data):
        case "more":
            ctx.continue_as_new()
        case _:
            steps.unknown("kind")
    if ctx.data["a"]:
        return first
    else:
        return ctx.step.until("ready", fn=book)


SHORTENED = lambda text: text[:3]  # noqa: E731


def doubling(ctx: Any) -> None:
    def eight() -> float:
        return time.time()  # W101

    def seven() -> None:
        [eight() for _ in (eight(), eight())]

    def six() -> None:
        [seven() for _ in (seven(), seven())]

    def five() -> None:
        [six() for _ in (six(), six())]

    def four() -> None:
        [five() for _ in (five(), five())]

    def three() -> None:
        [four() for _ in (four(), four())]

    def two() -> None:
        [three() for _ in (three(), three())]

    two()
    two()
    ctx.step.run("book", book, time.time())  # W101


UNDO = Compensation(cancel)
UNDO_ALWAYS = Compensation(cancel, when="attempted")


def undone(ctx: Any) -> None:
    limited = ctx.step.options(timeout="5m")
    limited.options(compensate=cancel).run("a", book)  # W110
    limited.options(compensate=Compensation(cancel)).run("b", book)  # W110
    limited.options(compensate=UNDO).run("c", book)  # W110
    limited.options(compensate=UNDO_ALWAYS).run("d", book)
    stated = Compensation(undo=cancel, when="completed")
    limited.options(compensate=stated).run("e", book)
    limited.options(compensate=None).run("f", book)
    ctx.step("g", book).timeout("5m").compensate(cancel).run()  # W110
    ctx.step("h", book).at_most_once().compensate(cancel, "attempted").run()
    ctx.step("i", book).compensate(cancel).run()
    once = ctx.step.options(at_most_once=True, compensate=cancel)
    once.call("j", "https://example.com", method="POST")  # W110
    once.options(at_most_once=False).run("k", book)
    once.invoke("l", "other")
    ctx.step.options(timeout=ctx.data["t"], compensate=cancel).run(  # W110
        "m", book
    )
    ctx.step.options(compensate=cancel).run("n", limited_book)  # W110


@step(timeout="30s")
def limited_book() -> str:
    return "flight"


FUNCTIONS = (
    clock,
    chance,
    rows,
    outside,
    helped,
    accepted,
    the_same_id,
    the_same_id_in_a_loop,
    the_same_id_in_an_expression,
    the_same_id_on_other_paths,
    twice_in_a_branch,
    swallowing,
    elsewhere,
    doubling,
    undone,
)
