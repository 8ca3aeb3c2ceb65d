"""The run of the concepts takes the deliveries that its tables show."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from documents import PAGES
from documents import PROJECT
from documents import blocks_of
from documents import table_under

# Declares the function in an app's module, moves the clock from one message
# to the next, and writes down what each delivery says and records.
RUNNER = """
import json
import sys
from datetime import UTC, datetime

import django

django.setup()

from django.core.management import call_command
from django_hookflow import clock, send_event, signals
from django_hookflow.models import WorkflowRun
from django_hookflow.transports.memory import memory_transport

call_command("migrate", verbosity=0)
function, pays = sys.argv[1], sys.argv[2] == "pays"
names = {
    "__name__": "orders.workflows",
    "mail": lambda customer, text: None,
    "make_bill": lambda customer: "bill-7",
    "end_plan": lambda customer: None,
}
now = datetime(2026, 1, 1, tzinfo=UTC)
recorded = []


def listen(entry, **_):
    recorded.append(entry.step_id)


signals.step_recorded.connect(listen)
deliveries = []
with clock.source(lambda: now):
    exec(function, names)
    run_id = names["renew"].trigger({"customer": 1})
    while due := memory_transport().next_due():
        now = max(now, due)
        answer = memory_transport().deliver(memory_transport().due()[0]).json()
        deliveries.append([answer["status"], recorded[:]])
        recorded.clear()
        if pays and len(deliveries) == 2:
            send_event("bill.paid", match="bill-7")
run = WorkflowRun.objects.get(run_id=run_id)
print(json.dumps({"deliveries": deliveries, "result": run.result}))
"""


@pytest.mark.parametrize(
    ("customer", "heading", "expected"),
    [
        (
            "pays",
            "When the customer pays, this takes three deliveries:",
            {
                "ends": ["waiting", "waiting", "completed", "stale"],
                "result": "renewed",
            },
        ),
        (
            "is silent",
            "continues:",
            {
                "ends": ["waiting", "waiting", "completed"],
                "result": "cancelled",
            },
        ),
    ],
)
def test_a_run_takes_the_deliveries_of_its_table(
    tmp_path: Path, customer: str, heading: str, expected: dict[str, Any]
) -> None:
    function = blocks_of("concepts.md")[0].text
    table = table_under("concepts.md", heading)

    run = happened(tmp_path, function, customer)

    assert {
        "ends": [end for end, _ in run["deliveries"]],
        "result": run["result"],
    } == expected
    executed = [steps for _, steps in run["deliveries"] if steps]
    assert [codes(row[3]) for row in table] == executed
    assert [codes(row[2]) for row in table] == [
        list(chain(*executed[:number])) for number in range(len(executed))
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_snippet_of_python_is_one(name: str) -> None:
    for block in blocks_of(name):
        if block.language == "python":
            compile(closed(block.text), name, "exec")


def closed(text: str) -> str:
    """Return a snippet, with a function if it is decorators only."""
    only_decorators = text.splitlines()[-1].startswith("@")
    return text + "def function(ctx): ...\n" if only_decorators else text


def happened(folder: Path, function: str, customer: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, function, customer],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def codes(cell: str) -> list[str]:
    return re.findall(r"`([\w-]+)`", cell)
