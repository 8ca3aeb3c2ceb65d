"""The answers of the activity where a run cannot be moved now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from temporalio.exceptions import ApplicationError
from temporalio.exceptions import ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from django_hookflow import stopping
from django_hookflow import workflow
from django_hookflow.contrib.temporal.activities import advance
from django_hookflow.contrib.temporal.activities import request_cancel
from django_hookflow.contrib.temporal.activities import standing_of
from django_hookflow.contrib.temporal.messages import Standing
from django_hookflow.contrib.temporal.messages import Wake
from django_hookflow.contrib.temporal.tests import programs
from django_hookflow.contrib.temporal.tests.conftest import TRANSPORT
from django_hookflow.exceptions import TransportError
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.transports import delivery
from django_hookflow.testing.world import World
from django_hookflow.transports import get_transport


@pytest.fixture
def wake(transactional_db: None, world: World, workflows: None) -> Wake:
    """Return the first signal for a run that has not begun."""
    workflow(programs.undone).trigger(run_id="a")
    (message,) = world.transport.waiting
    return Wake("a", "undone", message.delivery.token)


@pytest.fixture
def stopped() -> Iterator[None]:
    stopping.tell()
    yield
    stopping.tell(is_stopping=False)


def refusal(wake: Wake) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        ActivityEnvironment().run(advance, wake)
    error: ApplicationError = caught.value
    assert error.category == ApplicationErrorCategory.BENIGN
    assert not error.non_retryable
    return error


def test_a_run_that_another_delivery_has_is_tried_after_its_lease(
    wake: Wake, world: World
) -> None:
    WorkflowRun.objects.update(
        lease_token="other", lease_until=world.now + timedelta(seconds=9)
    )

    error = refusal(wake)

    assert error.message == "Another delivery has the run."
    assert error.next_retry_delay == timedelta(seconds=10)


def test_a_worker_that_stops_begins_nothing(wake: Wake, stopped: None) -> None:
    assert refusal(wake).message == "This worker stops."
    assert WorkflowRun.objects.get().deliveries == 0


def test_an_attempt_after_one_that_was_lost_returns_the_live_token(
    wake: Wake, world: World, ledger: Path
) -> None:
    """The lost one had committed: its token is stale."""
    first = ActivityEnvironment().run(advance, wake)
    again = ActivityEnvironment().run(advance, wake)

    run = world.run_of("a")
    assert first == again
    assert first.wake is not None
    assert first.wake.token == run.wake_token != wake.token
    assert first.wake.due_at == run.wake_at
    assert programs.effects() == ["take"]


def test_to_cancel_what_has_ended_or_is_unknown_is_no_error(
    wake: Wake, world: World
) -> None:
    for run_id in ("a", "a", "unknown"):
        ActivityEnvironment().run(request_cancel, run_id)

    assert world.run_of("a").status == "cancelled"
    assert standing_of("a") == Standing("cancelled", is_finished=True)
    assert standing_of("unknown") == Standing("", is_finished=True)


def test_of_two_signals_the_newer_counts_at_the_earlier_time() -> None:
    early, late = "2026-01-01T00:00:00+00:00", "2026-01-01T02:00:00+01:00"
    old = Wake("a", "w", "old", early)

    assert Wake("a", "w", "new", late).merged(old) == Wake(
        "a", "w", "new", early
    )
    assert Wake("a", "w", "new").merged(old) == Wake("a", "w", "new")


def test_settings_are_checked_where_another_transport_is_used(
    settings: Any,
) -> None:
    settings.TEMPORAL_NAMESPACE = ""

    found = run_checks(tags=["hookflow"])
    settings.DJANGO_HOOKFLOW_TRANSPORT = TRANSPORT
    same = run_checks(tags=["hookflow"])

    assert [one.id for one in found] == ["hookflow_temporal.E002"]
    assert found == same


def test_a_file_that_is_no_certificate_is_a_transport_error(
    settings: Any, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    settings.DJANGO_HOOKFLOW_TRANSPORT = TRANSPORT
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    settings.TEMPORAL_TLS_CA = str(file)

    with pytest.raises(TransportError, match=r"^Temporal did not accept"):
        get_transport().send(delivery())
