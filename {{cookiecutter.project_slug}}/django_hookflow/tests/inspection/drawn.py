"""Workflow functions to draw."""

from __future__ import annotations

from typing import Any


def work(*_: Any) -> str:
    return "done"


def cancel(_: Any) -> None: ...


def short(ctx: Any) -> None:
    ctx.step.options(compensate=cancel).run('say "a"', work)
    ctx.step.sleep("rest", "1h")


def everything(ctx: Any) -> Any:
    def ship(parcel: str) -> None:
        if not ctx.step.run("label", work, parcel):
            return
        ctx.step.wait_for_event("pickup", "picked-up", match=parcel)

    ctx.step.map("ship", ship, ["a", "b"])
    ctx.step.map("count", len, ["a", "b"])
    ctx.step.parallel("both", {"mail": work, "parcel": (ship, "c")})
    for parcel in ctx.data["parcels"]:
        if parcel == "lost":
            continue
        if parcel == "last":
            break
        ctx.step.call(f"tell {parcel}", "https://example.com", method="PUT")
    while True:
        ctx.step.run("poll", work)
    return "never"


def ends(ctx: Any) -> Any:
    try:
        ctx.step.ask("approve", group="managers", timeout="1d")
    except (TimeoutError, ValueError):
        ctx.continue_as_new()
    except:
        raise
    else:
        ctx.step.invoke("child", "other")
    finally:
        ctx.start_workflow("mail")
    try:
        int("7")
    except ValueError:
        return None
    return refuse_some(ctx) or ctx.step.first("race", paid=1, late=2)


def choice(ctx: Any) -> None:
    match ctx.data["kind"]:
        case "mug" if ctx.step.run("is-big", work):
            ctx.step.run("box", work)
        case "mug":
            ctx.step.run("bag", work)
    match ctx.data["colour"]:
        case "red":
            ctx.step.run("paint", work)
        case other:
            ctx.step.run("wash", work, other)


def refuse_some(ctx: Any) -> bool:
    for line in ctx.data["lines"]:
        if not line:
            raise ValueError(line)
    return bool(log(ctx))


def log(ctx: Any) -> None:
    if ctx.data:
        return
    ctx.log.info("no data")


def nothing(_: Any) -> None: ...


FUNCTIONS = (short, everything, ends, choice, nothing)
