"""Invalid messages, and the log line of each."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from project.production.stack import Production
from project.production.wire import Letter

Change = Callable[[Letter], Letter]

OLD = 301 + 10 + 5  # seconds: QStash's five minutes, our leeway, and some

FORGED: list[tuple[Change, str]] = [
    (lambda m: m.but(key="sig_" + "0" * 28), "Signature verification failed"),
    (
        lambda m: m.but(algorithm="none", key=""),
        "The specified alg value is not allowed",
    ),
    (
        lambda m: m.but(algorithm="HS512", key="0" * 64),
        "The specified alg value is not allowed",
    ),
    (
        lambda m: m.but(signed_body=b"{}"),
        "The body is not the one that was signed",
    ),
    (
        lambda m: m.but(issued_at=time.time() - OLD),
        r"expired .*\(expired\)",
    ),
    (
        lambda m: m.but(issued_at=time.time() + 3600),
        "compare the clocks",
    ),
]


@pytest.fixture(scope="module")
def victims(deployed: Production) -> Iterator[str]:
    """Runs that were triggered, and whose messages were not sent.

    New ones each time: a worker may come back to this file after another.
    """
    if "qstash" in deployed.processes:
        deployed.kill("qstash")
    run_ids = [f"victim-{uuid.uuid4().hex}" for _ in range(25)]
    deployed.trigger("errand", run_ids)
    return iter(run_ids)


@pytest.fixture
def waiting(unrung: Production, victims: Iterator[str]) -> Letter:
    """Return a valid message for a run that waits for it alone."""
    return unrung.letter(next(victims))


@pytest.fixture
def site(unrung: Production) -> Production:
    return unrung


def run_of(letter: Letter) -> str:
    return letter.body.decode().split('"')[3]


def test_an_unsigned_message_is_refused(
    site: Production, waiting: Letter
) -> None:
    mark = len(site.text())

    answer = site.fetch(
        "/hookflow/workflow/errand/", "POST", content=waiting.body
    )

    assert answer.status_code == 401
    assert answer.json() == {"status": "refused"}
    assert site.wait_for_line(
        r"The header Upstash-Signature is missing \(unsigned\)", mark
    )
    assert site.steps_of(run_of(waiting)) == []


@pytest.mark.parametrize(("change", "why"), FORGED)
def test_a_forged_message_is_refused(
    site: Production, waiting: Letter, change: Change, why: str
) -> None:
    mark = len(site.text())

    answer = site.post(change(waiting))

    assert answer.status_code == 401
    assert answer.json() == {"status": "refused"}
    assert site.wait_for_line(f"is refused: .*{why}", mark)
    assert site.steps_of(run_of(waiting)) == []


def test_a_message_signed_for_another_address_is_refused(
    site: Production, waiting: Letter
) -> None:
    mark = len(site.text())
    elsewhere = waiting.but(url="https://evil.example.com/hookflow/")

    answer = site.fetch(
        "/hookflow/workflow/errand/",
        "POST",
        content=elsewhere.body,
        headers=elsewhere.headers,
    )

    assert answer.status_code == 401
    assert site.wait_for_line("is refused: Signature claim 'sub' is", mark)
    assert site.steps_of(run_of(waiting)) == []


@pytest.mark.parametrize("work", ["sweep", "cleanup"])
def test_maintenance_is_done_for_qstash_alone(
    site: Production, waiting: Letter, work: str
) -> None:
    path = f"/hookflow/maintenance/{work}/"
    genuine = waiting.but(url=f"{site.domain}{path}", body=b"")

    unsigned = site.fetch(path, "POST")
    borrowed = site.fetch(path, "POST", headers=waiting.headers)
    signed = site.post(genuine)

    assert (unsigned.status_code, borrowed.status_code) == (401, 401)
    assert signed.status_code == 200


def test_a_message_for_another_workflow_is_refused_for_ever(
    site: Production, waiting: Letter
) -> None:
    mark = len(site.text())
    url = waiting.url.replace("errand", "parcel")

    answer = site.post(waiting.but(url=url))

    assert answer.status_code == 489
    assert site.wait_for_line(
        r"The body is for workflow .*\(malformed\)", mark
    )
    assert site.steps_of(run_of(waiting)) == []


def test_a_replayed_message_does_nothing_a_second_time(
    site: Production, waiting: Letter
) -> None:
    first = site.post(waiting)
    mark = len(site.text())

    second = site.post(waiting)

    run_id = run_of(waiting)
    assert (first.status_code, first.json()["status"]) == (200, "completed")
    assert second.json() == {"status": "stale", "run_id": run_id}
    assert site.wait_for_line(f"A message for {run_id} is stale", mark)
    assert rows_written(site, run_id) == 3


def test_a_replayed_message_with_a_new_signature_does_nothing_either(
    site: Production, waiting: Letter
) -> None:
    site.post(waiting)

    again = site.post(waiting.but(issued_at=time.time() + 1))

    assert again.json()["status"] == "stale"
    assert rows_written(site, run_of(waiting)) == 3


def test_a_signed_message_with_a_guessed_token_moves_nothing(
    site: Production, waiting: Letter
) -> None:
    body = waiting.body[:-34] + b"0" * 32 + b'"}'

    answer = site.post(waiting.but(body=body))

    assert answer.json()["status"] == "stale"
    assert site.steps_of(run_of(waiting)) == []


def test_an_oversized_message_is_refused(
    site: Production, waiting: Letter
) -> None:
    mark = len(site.text())

    answer = site.post(waiting.but(body=b"x" * 12_000_000))

    assert answer.status_code == 413
    assert answer.json() == {"status": "refused"}
    assert site.wait_for_line(r"The body has .*\(oversized\)", mark)


def test_a_signed_message_that_is_no_delivery_is_never_sent_again(
    site: Production, waiting: Letter
) -> None:
    mark = len(site.text())

    answer = site.post(waiting.but(body=b'{"hello": "world"}'))

    assert answer.status_code == 489
    assert answer.headers["Upstash-NonRetryable-Error"] == "true"
    assert site.wait_for_line(
        r"Invalid body of a delivery.*\(malformed\)", mark
    )


def test_no_refusal_tells_the_sender_why(
    site: Production, waiting: Letter
) -> None:
    told = {site.post(change(waiting)).text for change, _ in FORGED}

    assert told == {'{"status": "refused"}'}


def rows_written(site: Production, run_id: str) -> int:
    ((count,),) = site.rows(
        "SELECT COUNT(*) FROM ledger WHERE run_id = %s", run_id
    )
    return int(count)
