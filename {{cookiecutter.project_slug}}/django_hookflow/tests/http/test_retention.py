"""Run every command in docs/retention.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from django_hookflow.conf import Settings
from django_hookflow.tests.http.stack import PROJECT
from qstash_server.conf import Config

pytestmark = pytest.mark.http

PAGE = (PROJECT / "docs" / "retention.md").read_text("utf-8")
BLOCK = re.compile(r"^ *```console( account)?\n(.*?)^ *```$", re.M | re.S)


def commands(*, account: bool) -> list[list[str]]:
    return [
        shlex.split(line.removeprefix("$ "))
        for kind, text in BLOCK.findall(PAGE)
        if bool(kind) == account
        for line in text.splitlines()
    ]


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
