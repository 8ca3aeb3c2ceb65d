"""Lines of the log as JSON, with the ids of their run."""

from __future__ import annotations

import json
import logging
import logging.config
from collections.abc import Callable
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http import HttpResponse
from django.test import Client
from django.test import RequestFactory
from pytest_django import Settings

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.contrib.observability import gunicorn
from django_hookflow.contrib.observability.logs import ContextFilter
from django_hookflow.contrib.observability.logs import JsonFormatter
from django_hookflow.contrib.observability.middleware import (
    RequestIdMiddleware,
)
from django_hookflow.exceptions import RetryableError
from django_hookflow.testing.world import World

Lines = Callable[[], list[dict[str, Any]]]

logger = logging.getLogger("shop")


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Return the lines since the start of the test, read as JSON."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(ContextFilter())
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: list(map(json.loads, stream.getvalue().splitlines()))
    root.removeHandler(handler)


def test_a_record_is_one_object_on_one_line(lines: Lines) -> None:
    logger.warning("two\nlines of %s\u2028", "it", extra={"order_id": 7})

    (line,) = lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "shop",
        "message": "two\nlines of it\u2028",
        "order_id": 7,
    }


def test_an_exception_and_a_stack_are_text(lines: Lines) -> None:
    try:
        raise ValueError("odd\nvalue")
    except ValueError:
        logger.exception("failed", stack_info=True)

    (line,) = lines()
    assert line["exc_info"].startswith("Traceback (most recent call last)")
    assert line["exc_info"].endswith("ValueError: odd\nvalue")
    assert line["stack_info"].startswith("Stack (most recent call last)")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_odd_values_are_shown_as_far_as_they_can_be(lines: Lines) -> None:
    circle: list[Any] = []
    circle.append(circle)

    logger.warning(
        "odd",
        extra={
            "nan": float("nan"),
            "huge": 10**5000,
            "bytes": b"\xff",
            "lone": "\ud800",
            "keys": {(1, 2): {3}},
            "hidden": Unprintable(),
            "circle": circle,
            "request": RequestFactory().get("/?secret"),
        },
    )

    (line,) = lines()
    assert line["nan"] == "nan"
    assert line["huge"].startswith("0x")
    assert line["bytes"] == "b'\\xff'"
    assert line["lone"] == "\ud800"
    assert line["keys"] == {"(1, 2)": [3]}
    assert line["hidden"] == "<Unprintable that cannot be shown>"
    assert line["circle"] == [[[[["[[...]]"]]]]]
    assert "request" not in line


def test_arguments_that_do_not_fit_are_shown_beside_the_text() -> None:
    record = logging.makeLogRecord({"msg": "%d of %s", "args": ("one",)})

    line = json.loads(JsonFormatter().format(record))

    assert line["message"] == "%d of %s ('one',)"


def test_a_record_that_fails_in_every_way_is_still_a_line() -> None:
    record = logging.makeLogRecord({"levelname": "INFO", "created": "never"})

    line = json.loads(JsonFormatter().format(record))

    assert line["level"] == "INFO"
    assert line["message"].startswith("unloggable: TypeError(")


def test_a_formatted_exception_is_kept(lines: Lines) -> None:
    record = logging.makeLogRecord({"exc_text": "Traceback of another"})

    line = json.loads(JsonFormatter().format(record))

    assert line["exc_info"] == "Traceback of another"


def test_records_of_a_delivery_say_run_step_and_attempt(
    world: World, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def charge() -> None:
        logger.info("charging")
        raise RetryableError("not now")

    @workflow(workflow_id="shop", retry=RetryPolicy(retries=1))
    def shop(ctx: WorkflowContext) -> None:
        logger.info("before")
        ctx.step.options(optional=True).run("charge", charge)

    world.finish(shop.trigger(run_id="r-1"))

    said = [line for line in lines() if line["logger"] == "shop"]
    where = [
        {k: v for k, v in line.items() if k not in ("time", "level", "logger")}
        for line in said
    ]
    request_ids = [one.pop("request_id") for one in where]
    run = {"workflow_id": "shop", "run_id": "r-1"}
    assert where == [
        {"message": "before", **run, "delivery": 1},
        {
            "message": "charging", **run, "delivery": 1,
            "step_id": "charge", "attempt": 1,
        },
        {"message": "before", **run, "delivery": 2},
        {
            "message": "charging", **run, "delivery": 2,
            "step_id": "charge", "attempt": 2,
        },
    ]  # fmt: skip
    assert len(set(request_ids)) == 2


def test_the_engine_says_each_thing_once(
    every: World, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "django_hookflow")

    @workflow(workflow_id="shop")
    def shop(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)
        ctx.step.sleep("nap", 60)
        ctx.step.run("b", str)

    every.finish(shop.trigger(run_id="r"))

    said = [line for line in lines() if line["logger"] == "django_hookflow"]
    assert [line["message"] for line in said] == [
        "shop r triggered",
        "shop r delivery 1",
        "shop r step a",
        "shop r waiting",
        "shop r delivery 2",
        "shop r step nap",
        "shop r step b",
        "shop r completed",
    ]
    assert {line["run_id"] for line in said} == {"r"}
    assert [line.get("step_id") for line in said] == [
        None, None, "a", None, None, "nap", "b", None,
    ]  # fmt: skip


def test_a_run_that_a_step_triggers_is_not_the_run_of_the_step(
    world: World, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    @workflow(workflow_id="child")
    def child(ctx: WorkflowContext) -> None: ...

    @workflow(workflow_id="parent")
    def parent(ctx: WorkflowContext) -> None:
        ctx.step.run("begin", child.trigger, None, "c")

    world.finish(parent.trigger(run_id="p"))

    (line,) = (one for one in lines() if one["message"] == "child c triggered")
    assert (line["workflow_id"], line["run_id"]) == ("child", "c")
    assert "step_id" not in line
    assert "delivery" not in line


def test_every_answer_names_its_request() -> None:
    first = Client().get("/livez/none")
    second = Client().get("/livez/none", headers={"X-Request-ID": "mine"})

    assert len(first["X-Request-ID"]) == 32
    assert second["X-Request-ID"] != "mine"


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ("4bf92f35-77b3.4da6", True),
        ("", False),
        ("two words", False),
        ("x" * 129, False),
        ("line\nbreak", False),
    ],
)
def test_the_id_of_a_proxy_is_taken_if_it_is_one(
    settings: Settings, lines: Lines, given: str, is_taken: bool
) -> None:
    settings.DJANGO_TRUST_REQUEST_ID = True
    request = RequestFactory().get("/", headers={"X-Request-ID": given})

    def page(request: HttpRequest) -> HttpResponse:
        logger.warning("here")
        return HttpResponse()

    response = RequestIdMiddleware(page)(request)
    logger.warning("outside")

    here, outside = lines()
    assert (response["X-Request-ID"] == given) == is_taken
    assert here["request_id"] == response["X-Request-ID"]
    assert "request_id" not in outside


def test_the_logging_of_the_site_can_write_both() -> None:
    formatters = django_settings.LOGGING["formatters"]

    assert {"line", "json"} == formatters.keys()


@pytest.mark.parametrize(
    ("style", "is_json"), [("json", True), ("line", False), (None, True)]
)
def test_gunicorn_logs_like_the_site(
    capfd: pytest.CaptureFixture[str], style: str | None, is_json: bool
) -> None:
    before = logging.getLogger().handlers[:]
    logging.config.dictConfig(gunicorn.logconfig(style))
    try:
        logging.getLogger("gunicorn.error").info("Listening")
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger("gunicorn.error").handlers.clear()
        logging.getLogger("gunicorn.access").handlers.clear()

    line = capfd.readouterr().err
    assert "Listening" in line
    assert line.startswith("{") == is_json


@pytest.mark.parametrize(
    ("path", "status", "is_kept"),
    [("/livez", "200", False), ("/readyz", "503", True), ("/", "200", True)],
)
def test_probes_that_went_well_are_not_logged(
    path: str, status: str, is_kept: bool
) -> None:
    atoms = {"s": status, "U": path, "m": "GET", "L": "0.012000"}
    record = logging.makeLogRecord({"msg": "%(U)s", "args": (atoms,)})
    record.args = atoms

    assert gunicorn.AccessFilter().filter(record) == is_kept
    if is_kept:
        line = json.loads(JsonFormatter().format(record))
        assert (line["path"], line["status"]) == (path, int(status))
        assert (line["method"], line["seconds"]) == ("GET", 0.012)


def test_a_plain_record_of_the_access_log_passes() -> None:
    record = logging.makeLogRecord({"msg": "plain"})

    assert gunicorn.AccessFilter().filter(record)
