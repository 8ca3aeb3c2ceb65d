"""The blocks of the README run as they are written."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.contrib.auth import get_user_model
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.testing import WorkflowEnvironment

from temporal_app import workflows
from temporal_app.tests.conftest import working

APP = Path(workflows.__file__).parent
PROJECT = APP.parent
README = (APP / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
(QUEUE,) = set(re.findall(r'task_queue="(\S+-tasks)"', README))


def block(part: str) -> str:
    """Return the only block of Python that contains `part`."""
    (found,) = (text for text in PYTHON if part in text)
    return found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "text",
    [one for one in PYTHON if ".execute_workflow(" in one][:3],
    ids=["script", "onboarding", "batch"],
)
def test_a_workflow_is_executed(
    text: str,
    environment: WorkflowEnvironment,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also the shorter blocks, which leave out what the first one has."""
    users = get_user_model().objects
    for number in (1, 2, 3):
        users.create(pk=number, username=f"user-{number}")
    asked: list[str] = []

    async def connect(address: str) -> Client:
        asked.append(address)
        return environment.client

    async def run() -> None:
        async with working(environment.client, QUEUE):
            await names["main"]()

    monkeypatch.setattr(Client, "connect", connect)
    monkeypatch.setattr(asyncio, "run", lambda main: main.close())
    script = block("async def main")
    names: dict[str, Any] = vars(workflows) | {"print": asked.append}
    exec(script, names)
    if text != script:
        names["client"] = environment.client
        body = textwrap.indent(f"result = {text}", "    ")
        exec(f"async def main():\n{body}    print(result['status'])", names)

    loop.run_until_complete(run())

    assert asked[-1] == "completed"
    assert asked[:-1] == ([] if text != script else ["localhost:7233"])


@pytest.mark.django_db(transaction=True)
def test_the_activity_of_the_example_reads_a_user(
    loop: asyncio.AbstractEventLoop,
) -> None:
    user = get_user_model().objects.create(username="a", email="a@b.example")
    names: dict[str, Any] = {}
    exec(block("async def my_activity"), names)

    email = loop.run_until_complete(
        ActivityEnvironment().run(names["my_activity"], user.pk)
    )

    assert email == "a@b.example"


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """In a pytest of their own, as in a file of the owner's."""
    for number, text in enumerate(PYTHON):
        if "async def test_" in text:
            (tmp_path / f"test_block_{number}.py").write_text(text)

    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "-n", "0", "-c", PROJECT / "pyproject.toml",
            "--rootdir", PROJECT, tmp_path,
        ],
        cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip

    assert "2 passed" in done.stdout, done.stdout


def test_the_settings_are_those_of_the_page() -> None:
    base = (PROJECT / "config/settings/base.py").read_text(encoding="utf-8")
    (example,) = (
        text
        for kind, text in BLOCKS
        if kind == "bash" and text.startswith("TEMPORAL_ADDRESS=")
    )

    assert block('variable("TEMPORAL_ADDRESS")') in base
    for line in example.splitlines():
        name, _, value = line.partition("=")
        assert getattr(settings, name) == value


def test_the_tree_is_that_of_the_app() -> None:
    (tree,) = (text for _, text in BLOCKS if text.startswith("temporal_app/"))
    names = re.findall(r"── (\S+?)/? ", tree + " ")

    missing = [name for name in names if not list(APP.rglob(name))]
    assert missing == []


def test_compose_has_the_services_of_the_page() -> None:
    compose = yaml.safe_load((PROJECT / "compose.yaml").read_text("utf-8"))
    named = re.findall(r"^docker compose up (.+)$", README, re.MULTILINE)

    services = compose["services"]
    assert set(" ".join(named).split()) <= set(services)
    assert services["temporal-ui"]["ports"] == ["127.0.0.1:8080:8080"]


def test_the_worker_starts_as_the_page_says(
    environment: WorkflowEnvironment,
) -> None:
    (command,) = (
        text.strip()
        for kind, text in BLOCKS
        if kind == "bash" and "manage.py run_temporal_worker" in text
    )
    address = environment.client.service_client.config.target_host

    worker = subprocess.Popen(
        [sys.executable, *command.split()[1:]],
        cwd=PROJECT,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "temporal_app.tests.settings",
            "TEMPORAL_TESTS_ADDRESS": address,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    begun = worker.stdout.readline()
    worker.send_signal(signal.SIGTERM)
    rest, _ = worker.communicate(timeout=60)

    assert begun == (
        f"Polling the queue {QUEUE} in the namespace default of {address}, "
        "with up to 10 activities at once, until SIGTERM.\n"
    )
    assert rest == "Stopped.\n"
    assert worker.returncode == 0
