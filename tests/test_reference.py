"""The tables of the reference and the concepts are those of the code."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from documents import PROJECT
from documents import table_under
from documents import text_of

# What the code says of itself, asked in its own process.
FACTS = """
import importlib
import json

import django

django.setup()

from django.apps import apps
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal
import django_hookflow
from django_hookflow import exceptions, retry, signals
from django_hookflow.conf import Settings


def flags(app, name):
    parser = load_command_class(app, name).create_parser("", name)
    parsers = [parser]
    for action in parser._actions:  # those of its own actions, too
        if isinstance(action.choices, dict):
            parsers += action.choices.values()
    common = BaseCommand().create_parser("", name)._option_string_actions
    return {
        flag: "" if action.default is False else str(action.default)
        for one in parsers
        for flag, action in one._option_string_actions.items()
        if flag not in common
    }


server = "qstash_server"
print(json.dumps({
    "names": django_hookflow.__all__,
    "settings": {
        name: getattr(Settings, name) for name in Settings.__annotations__
    },
    "tree": exceptions.__doc__,
    "signals": [
        name for name, value in vars(signals).items()
        if isinstance(value, Signal)
    ],
    "permanent": [kind.__name__ for kind in retry.PERMANENT],
    "transient": [kind.__name__ for kind in retry.TRANSIENT],
    "fields": {
        model.__name__: [
            field.name for field in model._meta.fields
            if field.name != "id"
        ]
        for model in apps.get_app_config("django_hookflow").get_models()
    },
    "flags": {
        "cleanup_workflows": flags("django_hookflow", "cleanup_workflows"),
        "hookflow_erase": flags("django_hookflow", "hookflow_erase"),
        "hookflow_export": flags("django_hookflow", "hookflow_export"),
        "hookflow_runs": flags("django_hookflow", "hookflow_runs"),
        "hookflow_schedule": flags("django_hookflow", "hookflow_schedule"),
        "hookflow_sweep": flags("django_hookflow", "hookflow_sweep"),
        "visualize_graph": flags("django_hookflow", "visualize_graph"),
        "qstash_server": flags(server, "qstash_server"),
    },
}))
"""

COMMANDS = (
    "cleanup_workflows",
    "hookflow_erase",
    "hookflow_export",
    "hookflow_runs",
    "hookflow_schedule",
    "hookflow_sweep",
    "qstash_server",
    "visualize_graph",
)
MODELS = (
    "WorkflowRun",
    "StepExecution",
    "Event",
    "DeadLetterEntry",
    "AuditEntry",
)


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    asked = subprocess.run(
        [sys.executable, "-c", FACTS],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
        },
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stderr
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


def test_the_public_names_are_those_of_the_package(
    facts: dict[str, Any],
) -> None:
    rows = table_under("reference.md", "## Names")

    listed = [
        name for module, name, _ in rows if module == "`django_hookflow`"
    ]

    assert sorted(plain(name) for name in listed) == sorted(facts["names"])


def test_the_settings_and_their_defaults_are_those_of_conf(
    facts: dict[str, Any],
) -> None:
    rows = table_under("reference.md", "## Settings")

    listed = {
        plain(name): ast.literal_eval(plain(default))
        for name, default, _ in rows
    }

    assert listed == facts["settings"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_flags_of_a_command_are_those_of_its_help(
    facts: dict[str, Any], command: str
) -> None:
    rows = table_under("reference.md", f"### `manage.py {command}`")

    listed = {plain(flag): last_code(default) for flag, default, _ in rows}
    expected = facts["flags"][command]
    if command == "qstash_server":
        expected["--port"] = "8080"  # where QSTASH_URL names none

    assert listed == expected


@pytest.mark.parametrize("model", MODELS)
def test_the_fields_of_a_model_are_its_own(
    facts: dict[str, Any], model: str
) -> None:
    rows = table_under("reference.md", f"### `{model}`")

    listed = [name for names, _ in rows for name in codes(names)]

    assert sorted(listed) == sorted(facts["fields"][model])


def test_the_tree_of_errors_is_that_of_the_module(
    facts: dict[str, Any],
) -> None:
    shown = re.search(r"## Errors\n\n```text\n(.*?)```", reference(), re.S)
    assert shown is not None

    tree = [
        line[4:] for line in facts["tree"].splitlines() if line[:4] == "    "
    ]

    assert shown[1].splitlines() == tree


def test_the_signals_are_those_of_the_module(facts: dict[str, Any]) -> None:
    rows = table_under("reference.md", "## Signals")

    assert [plain(name) for name, _, _ in rows] == facts["signals"]


def test_the_errors_that_are_not_tried_again_are_those_of_the_policy(
    facts: dict[str, Any],
) -> None:
    rows = table_under("reference.md", "## Retries")

    no = {
        name for kinds, again in rows if again == "no" for name in codes(kinds)
    }
    yes = {
        name
        for kinds, again in rows
        if again == "yes"
        for name in codes(kinds)
    }

    shown_as_examples = {
        "KeyError", "IndexError", "PermanentError", "SerializationError",
    }  # fmt: skip
    assert no - shown_as_examples == set(facts["permanent"])
    assert yes == set(facts["transient"])


def test_the_ids_of_the_system_checks_are_those_in_the_code() -> None:
    rows = table_under("reference.md", "## System checks")
    listed = [plain(check) for check, _ in rows]
    used = {
        check
        for package in ("django_hookflow", "qstash_server")
        for source in (PROJECT / package).rglob("*.py")
        if "tests" not in source.parts
        for check in re.findall(r'"(\w+\.[EW]\d{3})"', source.read_text())
    }

    assert listed == sorted(used)


def reference() -> str:
    return text_of("reference.md")


def plain(cell: str) -> str:
    return cell.strip("`")


def codes(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def last_code(cell: str) -> str:
    """Return the last value in a cell, empty when it holds none."""
    found = re.findall(r"`([^`]*)`", cell)
    return found[-1] if found else ""
