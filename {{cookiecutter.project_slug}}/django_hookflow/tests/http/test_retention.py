"""Run every command in docs/retention.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from django_hookflow.conf import Settings
from django_hookflow.tests.http.stack import PROJECT
from django_hookflow.tests.http.stack import Stack
from qstash_server.conf import Config

pytestmark = pytest.mark.http

PAGE = (PROJECT / "docs" / "retention.md").read_text("utf-8")
BLOCK = re.compile(r"^ *```console( account)?\n(.*?)^ *```$", re.M | re.S)
EMAIL = "ada@example.com"


def commands(*, account: bool) -> list[list[str]]:
    return [
        shlex.split(line.removeprefix("$ "))
        for kind, text in BLOCK.findall(PAGE)
        if bool(kind) == account
        for line in text.splitlines()
    ]


def test_each_command_of_the_page_does_what_it_says(stack: Stack) -> None:
    stack.start_qstash()
    stack.start_site()
    order = stack.place_order("TEA-02")
    stack.wait_for(
        lambda: stack.get(f"/api/orders/{order}/")["status"] == "fulfilled"
    )
    run_id = f"order-{order}"

    said: dict[str, str] = {}
    for python, _, *arguments in commands(account=False):
        assert python == "python"
        known = [run_id if one == "RUN_ID" else one for one in arguments]
        done = stack.run(*known)
        assert (done.returncode, done.stderr) == (0, ""), known
        said[" ".join(arguments)] = done.stdout

    found = [text for one, text in said.items() if "values_list" in one]
    assert found == [f"{run_id}\n"]
    assert re.fullmatch(
        rf"Deleted 1 runs, \d+ steps, 1 events and 0 dead letters of "
        rf"'{run_id}'\.\n",
        said["hookflow_erase RUN_ID"],
    )
    assert EMAIL not in everything(stack)


def everything(stack: Stack) -> str:
    """Return all rows of the shop and the engine, as text."""
    tables = (
        "workflowrun", "stepexecution", "event", "deadletterentry",
    )  # fmt: skip
    names = [f"django_hookflow_{table}" for table in tables]
    names += ["orders_order", "orders_payment", "qstash_server_message"]
    return str([stack.rows(f"SELECT * FROM {name}") for name in names])


def test_what_needs_a_machine_names_files_that_are_there() -> None:
    named = {
        word
        for command in commands(account=True)
        for word in command
        if word.startswith("deploy/")
    }

    there = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "deploy" / "cron").rglob("*")
        if path.is_file()
    }
    assert named == there


def test_the_times_of_the_page_are_those_of_the_code() -> None:
    day = 24 * 60 * 60 * 1000
    keep = Config(token="", current_key="", next_key="")
    services = yaml.safe_load(
        Path(PROJECT, "compose.yaml").read_text("utf-8")
    )["services"]
    lines = [" ".join(one.get("command") or []) for one in services.values()]

    assert (
        f"| {Settings.DJANGO_HOOKFLOW_KEEP_DAYS} days after the run ended"
        in PAGE
    )
    assert (keep.keep_logs, keep.keep_dead_letters) == (7 * day, 7 * day)
    for command in ("hookflow_sweep --every 60",):
        assert command in PAGE
        assert any(line.endswith(command) for line in lines)
