from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from pytest_django import Settings

from django_hookflow import signals
from django_hookflow.contrib.observability import sentry
from django_hookflow.contrib.observability.tests.receiver import Receiver
from django_hookflow.contrib.observability.tests.receiver import listening

TRACER = "django_hookflow.contrib.observability.sentry.SentryTracer"

Start = Callable[..., Receiver]


@pytest.fixture(autouse=True)
def engine_database(transactional_db: None, workflows: None) -> None:
    """Empty the database after each test, and restore the registry."""


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Start Sentry with a receiver, as the app does with a DSN."""
    with listening() as receiver:

        def begin(**values: Any) -> Receiver:
            settings.SENTRY_DSN = receiver.dsn
            settings.SENTRY_TRACES_SAMPLE_RATE = 1.0
            settings.DJANGO_HOOKFLOW_TRACERS = [TRACER]
            for name, value in values.items():
                setattr(settings, name, value)
            sentry.start()
            return receiver

        yield begin
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
        signals.run_committed.disconnect(dispatch_uid="hookflow_sentry")
        sentry._checked_in.clear()


@pytest.fixture
def sentry_receiver(start: Start) -> Receiver:
    return start()
