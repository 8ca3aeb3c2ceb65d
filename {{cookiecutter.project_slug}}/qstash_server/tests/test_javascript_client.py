"""The official JavaScript client under Node: each operation, once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from qstash_server.clock import SystemClock
from qstash_server.conf import Config
from qstash_server.server import Server
from qstash_server.tests.conftest import CURRENT
from qstash_server.tests.conftest import NEXT
from qstash_server.tests.conftest import TOKEN
from qstash_server.tests.helpers import Answer
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import Received

SOURCES = Path(__file__).parent / "js"


class Listing(Destination):
    """Fails what comes to /fail, and lists all that has come."""

    def answer(self, request: Received) -> Answer:
        if request.target == "/fail":
            return Answer(500, body=b"broken")
        if request.target == "/received":
            return Answer(body=json.dumps(self.listed()).encode())
        return Answer()

    def listed(self) -> list[dict[str, str]]:
        return [
            {
                "target": one.target,
                "body": one.body.decode(),
                "signature": one.headers.get("upstash-signature", ""),
            }
            for one in self.received
        ]


def missing(reason: str) -> None:
    """Skip on a laptop, fail in CI: there a skip would be a lie."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node() -> list[str]:
    """The command that runs the script, its package installed."""
    package = json.loads((SOURCES / "package.json").read_text())
    version = package["dependencies"]["@upstash/qstash"]
    folder = Path(gettempdir()) / f"qstash-js-{version}-{os.getuid()}"
    if not (shutil.which("node") and shutil.which("npm")):
        missing("Node is not installed, so its client cannot be tried.")
    folder.mkdir(exist_ok=True)
    for source in SOURCES.iterdir():
        shutil.copy(source, folder)
    if not (folder / "node_modules" / "@upstash" / "qstash").exists():
        installed = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if installed.returncode:
            missing(f"npm cannot install the client: {installed.stderr}")
    return ["node", str(folder / "operations.mjs")]


@pytest.fixture
def listing() -> Iterator[Listing]:
    one = Listing()
    yield one
    one.close()


@pytest.mark.http
def test_each_operation_answers_what_the_client_expects(
    transactional_db: None,
    node: list[str],
    config: Config,
    listing: Listing,
) -> None:
    # The client judges signatures and times by the real clock.
    with Server(config=config, clock=SystemClock()) as server:
        run = subprocess.run(
            [*node, server.url, TOKEN, listing.url, CURRENT, NEXT],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    assert found.pop("verified") >= 16
    message = found.pop("message")
    assert {name: message.get(name) for name in MESSAGE} == MESSAGE
    assert {name: type(found[name]) for name in IDS} == IDS
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    key = found["key"]
    assert (key["rateMax"], key["parallelismMax"], key["ratePeriod"]) == (
        10,
        2,
        60,
    )
    assert [type(item["messageId"]) for item in found["batch"]] == [str, str]
    urls = [item["url"] for item in found["toGroup"]]
    assert urls == [f"{listing.url}/one", f"{listing.url}/two"]
    assert found["group"] == [
        {"url": f"{listing.url}/one", "name": "one"},
        {"url": f"{listing.url}/two"},
    ]
    assert found["smaller"] == [{"url": f"{listing.url}/two"}]


IDS = {
    "published": dict,
    "publishedJSON": dict,
    "batch": list,
    "batchJSON": list,
    "enqueued": dict,
    "enqueuedJSON": dict,
}
MESSAGE = {
    "url": "http://localhost:9/never",
    "method": "POST",
    "maxRetries": 5,
    "retryDelayExpression": "1000 * (1 + retried)",
    "flowControlKey": "js-key",
    "rate": 10,
    "parallelism": 2,
    "period": 60,
    "label": "everything",
    "labels": ["everything"],
    "body": None,
}
EXPECTED: dict[str, Any] = {
    "duplicate": [True, True],
    "groups": ["js-group"],
    "noGroup": ["QstashError", 404],
    "queue": ["js-queue", 2, True, 2],
    "queues": ["js-batch", "js-queue"],
    "noQueue": ["QstashError", 404],
    "schedule": {"scheduleId": "js-schedule"},
    "paused": ["*/10 * * * *", True, "tick", None],
    "schedules": [["js-schedule", False]],
    "noSchedule": ["QstashError", 404],
    "letter": [500, "broken"],
    "pages": [4, 2, None],
    "byId": [True],
    "deleted": [{"deleted": 1}, {"deleted": 1}, {"deleted": 0}],
    "deletedTwice": ["QstashError", 404],
    "retried": [[1, None], [1, None], [0, None]],
    "typo": ["QstashError", 400],
    "logs": ["DELIVERED", "ACTIVE", "CREATED"],
    "events": [True],
    "pinned": [True, 3, True],
    "unpinned": [False, 3, False],
    "parallelism": 32,
    "cancelled": [{"cancelled": 1}, {"cancelled": 1}, {"cancelled": 0}],
    "gone": ["QstashError", 404],
    "cancelledTwice": ["QstashError", 404],
    "byFilter": {"cancelled": 1},
    "all": True,
    "waiting": "string",
    "targets": [
        "/batch",
        "/fail",
        "/json",
        "/large",
        "/one",
        "/publish?a=1&b=%C3%BC",
        "/queue",
        "/received",
        "/rotated",
        "/two",
    ],
}
