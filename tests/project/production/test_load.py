"""A thousand messages at once, and workers that die under them."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx

from project.production.stack import BY_TLS
from project.production.stack import RUNS
from project.production.stack import STEPS
from project.production.stack import Production
from project.production.wire import Letter
from project.production.wire import bell

ERRAND = ["fetch", "carry", "bring"]
CROWD = 1000


def test_a_thousand_messages_at_once_are_all_served(
    unrung: Production,
) -> None:
    run_ids = [f"crowd-{number}" for number in range(CROWD)]
    unrung.trigger("errand", run_ids)

    answers = asyncio.run(deliver_all(unrung, letters(unrung, "crowd-%")))

    assert Counter(answers) == {"200 completed": CROWD}
    assert unrung.all_completed(run_ids)
    assert executions(unrung, "crowd-%") == {
        (run_id, step): 1 for run_id in run_ids for step in ERRAND
    }


def test_one_message_at_a_hundred_doors_is_served_once(
    unrung: Production,
) -> None:
    unrung.trigger("errand", ["popular"])
    message = unrung.letter("popular")

    with unrung.unhurried():
        answers = asyncio.run(deliver_all(unrung, [message] * 100))

    assert answers.count("200 completed") == 1
    assert set(answers) <= {"200 completed", "200 stale", "409 busy"}
    assert executions(unrung, "popular") == {
        ("popular", step): 1 for step in ERRAND
    }


def test_workers_killed_under_load_lose_nothing(site: Production) -> None:
    run_ids = [f"killed-{number}" for number in range(60)]
    site.trigger("ledger", run_ids)

    for kill in range(1, 5):
        site.wait_for(lambda n=kill: recorded(site, "killed-%") >= n * 40)
        site.kill_a_worker(kill)

    site.wait_until_completed(run_ids)
    assert_that_the_ledger_adds_up(site, "killed-%", run_ids, deaths=4)


def letters(site: Production, pattern: str) -> list[Letter]:
    """Return the live message of every run whose id is like that."""
    found = site.rows(
        f"SELECT run_id, workflow_id, wake_token FROM {RUNS} "
        "WHERE run_id LIKE %s",
        pattern,
    )
    key = site.environment["QSTASH_CURRENT_SIGNING_KEY"]
    return [
        Letter(
            url=f"{site.domain}/hookflow/workflow/{workflow_id}/",
            key=key,
            body=bell(run_id, workflow_id, token),
        )
        for run_id, workflow_id, token in found
    ]


async def deliver_all(site: Production, mail: list[Letter]) -> list[str]:
    """Post all of it at the same time; "<status> <outcome>" of each."""
    # No limit of ours: each message is on a connection of its own.
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        limits=limits, timeout=120, trust_env=False
    ) as client:
        return await asyncio.gather(
            *(deliver(client, site, letter) for letter in mail)
        )


async def deliver(
    client: httpx.AsyncClient, site: Production, letter: Letter
) -> str:
    answer = await client.post(
        site.site + letter.url.removeprefix(site.domain),
        content=letter.body,
        headers=letter.headers | BY_TLS,
    )
    return f"{answer.status_code} {answer.json()['status']}"


def recorded(site: Production, pattern: str) -> int:
    """Steps in the journals of such runs."""
    ((count,),) = site.rows(
        f"SELECT COUNT(*) FROM {STEPS} s JOIN {RUNS} r "
        "ON r.id = s.workflow_run_id "
        "WHERE run_id LIKE %s AND s.status = 'completed'",
        pattern,
    )
    return int(count)


def executions(site: Production, pattern: str) -> dict[tuple[str, str], int]:
    """Return how often each step was executed, recorded or not."""
    return {
        (run_id, step_id): count
        for run_id, step_id, count in site.rows(
            "SELECT run_id, step_id, COUNT(*) FROM ledger "
            "WHERE run_id LIKE %s GROUP BY run_id, step_id",
            pattern,
        )
    }


def assert_that_the_ledger_adds_up(
    site: Production, pattern: str, run_ids: list[str], deaths: int
) -> None:
    """Atomic steps once; others once more at most for each death."""
    times = executions(site, pattern)
    assert times.keys() == {
        (run_id, f"step-{number}") for run_id in run_ids for number in range(6)
    }
    once = {
        count for (_, step), count in times.items() if int(step[-1]) % 2 == 0
    }
    assert once == {1}
    assert max(times.values()) <= 1 + deaths
    late = site.rows(
        "SELECT l.run_id, l.step_id FROM ledger l "
        f"JOIN {RUNS} r ON r.run_id = l.run_id "
        f"JOIN {STEPS} e ON e.workflow_run_id = r.id "
        "AND e.step_id = l.step_id "
        "WHERE l.run_id LIKE %s AND l.at::timestamptz > e.executed_at",
        pattern,
    )
    assert late == []
