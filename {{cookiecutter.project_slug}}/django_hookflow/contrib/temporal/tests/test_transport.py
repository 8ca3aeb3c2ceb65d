"""The transport keeps the promises of all, on a real server of Temporal."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from django_hookflow.contrib.temporal.tests.asking import of_execution
from django_hookflow.contrib.temporal.tests.conftest import TRANSPORT
from django_hookflow.contrib.temporal.tests.server import PROJECT
from django_hookflow.contrib.temporal.tests.server import DevServer
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import TransportError
from django_hookflow.testing.transports import Arrival
from django_hookflow.testing.transports import RemoteTransportTests
from django_hookflow.testing.transports import delivery
from django_hookflow.transports import get_transport

SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


class TestTemporalTransport(RemoteTransportTests):
    path = TRANSPORT

    @pytest.fixture(autouse=True)
    def executions(self, site: None, temporal: DevServer) -> Any:
        """Terminate what a test starts: others use the same run ids."""
        self.run_ids: set[str] = set()
        yield
        for run_id in self.run_ids:
            of_execution(run_id, lambda handle: handle.terminate())

    def send(self, message: Delivery) -> None:
        super().send(message)
        self.run_ids.add(message.run_id)

    def disconnect(self) -> None:
        self.settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
        self.settings.TEMPORAL_API_KEY = "key-of-the-Tests"

    def arrivals(self) -> list[Arrival]:
        return [
            self.arrival(json.loads(payload.data))
            for run_id in self.run_ids
            for payload in signals_of(run_id)
        ]

    def arrival(self, wake: dict[str, Any]) -> Arrival:
        due = datetime.fromisoformat(wake["due"]) if wake["due"] else self.now
        fields = ("run_id", "workflow_id", "token")
        sent = Delivery(**{name: wake[name] for name in fields})
        return Arrival(sent, max(due, self.now))

    def test_a_key_is_in_no_message(self) -> None:
        self.disconnect()

        assert "key-of-the-Tests" not in get_transport().trouble()

    def test_an_unknown_namespace_is_a_trouble(self) -> None:
        self.settings.TEMPORAL_NAMESPACE = "no-such-namespace"

        assert "TEMPORAL_NAMESPACE" in get_transport().trouble()

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            (
                "TEMPORAL_ADDRESS",
                "https://localhost:7233",
                "TEMPORAL_ADDRESS is 'https://localhost:7233', which is not a "
                "host and a port.",
            ),
            (
                "TEMPORAL_ADDRESS",
                "localhost:99999",
                "TEMPORAL_ADDRESS is 'localhost:99999', which is not a host "
                "and a port.",
            ),
            (
                "TEMPORAL_TASK_QUEUE",
                " tasks",
                "TEMPORAL_TASK_QUEUE is ' tasks', but must be a text without "
                "white space at its ends.",
            ),
            (
                "TEMPORAL_TLS_CA",
                "/no/such.pem",
                "TEMPORAL_TLS_CA is '/no/such.pem', and there is no such "
                "file.",
            ),
            (
                "TEMPORAL_TLS_CERT",
                __file__,
                "TEMPORAL_TLS_CERT is configured alone, so the server cannot "
                "know this client.",
            ),
        ],
    )
    def test_a_wrong_setting_is_a_problem_with_a_cure(
        self, name: str, value: str, problem: str
    ) -> None:
        setattr(self.settings, name, value)

        (found,) = get_transport().check()

        assert found.msg == problem
        assert found.hint

    def test_a_forked_process_sends_by_a_client_of_its_own(
        self, temporal: DevServer, queue: str
    ) -> None:
        self.run_ids = {"parent", "child"}
        variables = [temporal.address, queue, TRANSPORT]

        subprocess.run(
            [sys.executable, "-c", FORKING, *variables],
            cwd=PROJECT,
            check=True,
            timeout=60,
        )

        assert sorted(one.delivery.run_id for one in self.arrivals()) == [
            "child",
            "parent",
        ]


FORKING = """
import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
import django
from django.conf import settings

django.setup()
settings.TEMPORAL_ADDRESS = sys.argv[1]
settings.TEMPORAL_TASK_QUEUE = sys.argv[2]
settings.DJANGO_HOOKFLOW_TRANSPORT = sys.argv[3]
settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 20

from django_hookflow.testing.transports import delivery
from django_hookflow.transports import get_transport

get_transport().send(delivery(run_id="parent"))
if child := os.fork():
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
status = 1
try:
    get_transport().send(delivery(run_id="child"))
    status = 0
finally:
    os._exit(status)
"""


def test_sending_does_not_wait_for_a_server_that_does_not_answer(
    settings: Any,
) -> None:
    """A listener that accepts nothing keeps a connection waiting."""
    settings.DJANGO_HOOKFLOW_TRANSPORT = TRANSPORT
    settings.DJANGO_HOOKFLOW_PUBLISH_TIMEOUT = 0.3
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.TEMPORAL_ADDRESS = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()

        with pytest.raises(TransportError, match=r"timed out after 0\.3 s"):
            get_transport().send(delivery())

    assert time.monotonic() - began < 20


def signals_of(run_id: str) -> list[Any]:
    history = of_execution(run_id, lambda handle: handle.fetch_history())
    return [
        payload
        for event in history.events
        if event.event_type == SIGNALED
        for payload in (
            event.workflow_execution_signaled_event_attributes.input.payloads
        )
    ]
