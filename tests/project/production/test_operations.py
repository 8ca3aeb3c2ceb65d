"""docs/operations.md, in the trouble that each of its sections is for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from django_hookflow.tests.http.stack import PROJECT

from project.production.page import Block
from project.production.page import sections
from project.production.stack import RUNS
from project.production.stack import Production
from project.production.test_load import assert_that_the_ledger_adds_up
from project.production.test_load import recorded

PAGE = sections(PROJECT / "docs" / "operations.md")
LETTERS = "django_hookflow_deadletterentry"


def nothing_is_wrong(site: Production, blocks: list[Block]) -> None:
    site.settle()

    for block in blocks:
        do(site, block)


def a_run_is_stuck(site: Production, blocks: list[Block]) -> None:
    show, send, sweep = blocks
    site.trigger("parcel", ["order-4711"])
    site.wait_for(lambda: site.statuses(["order-4711"]) == WAITING)

    do(site, show)
    do(site, send)

    site.wait_until_completed(["order-4711"])
    site.kill("cron")
    site.kill("qstash")
    site.trigger("errand", ["lost"])  # whose message was not delivered
    site.start_qstash()
    site.wait_for(lambda: overdue(site) >= 1)
    do(site, sweep)
    site.wait_for(lambda: site.all_completed(["lost"]))


def qstash_is_down(site: Production, blocks: list[Block]) -> None:
    look, ring = blocks
    run_ids = [f"outage-{number}" for number in range(3)]
    site.settle()
    site.kill("cron")
    site.kill("qstash")
    site.trigger("errand", run_ids)

    site.wait_for(lambda: site.fetch("/readyz?all").status_code == 503)
    do(site, look)

    # As a long outage leaves it: the sweeper has asked less and less often.
    site.write(
        f"UPDATE {RUNS} SET sweep_at = now() + interval '1 hour' "
        "WHERE run_id LIKE 'outage-%'"
    )
    site.start_qstash()
    do(site, ring)
    site.wait_for(lambda: site.all_completed(run_ids))


def keys_rotate(site: Production, blocks: list[Block]) -> None:
    (rotate,) = blocks
    mark = len(site.text())

    keys = json.loads(do(site, rotate)[0])
    site.trigger("errand", ["before-the-restart"])
    site.wait_until_completed(["before-the-restart"])
    site.secrets = {
        **site.secrets,
        "QSTASH_CURRENT_SIGNING_KEY": keys["current"],
        "QSTASH_NEXT_SIGNING_KEY": keys["next"],
    }
    site.terminate("site")
    site.start_site()

    site.trigger("errand", ["after-the-restart"])
    site.wait_until_completed(["after-the-restart"])
    assert "is refused" not in site.text()[mark:]


def the_queue_grows(site: Production, blocks: list[Block]) -> None:
    (count,) = blocks
    site.settle()
    site.kill("qstash")
    site.trigger("errand", [f"queued-{number}" for number in range(5)])

    (said,) = do(site, count)

    assert said.startswith("5 runs are due")


def a_deploy_broke_a_workflow(site: Production, blocks: list[Block]) -> None:
    (look,) = blocks
    break_bills(site)

    do(site, look)


def dead_letters(site: Production, blocks: list[Block]) -> None:
    (replay,) = blocks
    break_bills(site)

    with site.changed(RELEASE="2"):
        site.terminate("site")
        site.start_site()
        (said,) = do(site, replay)
        again = [line.split()[-1] for line in said.splitlines()]
        site.wait_until_completed(again)
        site.terminate("site")

    assert rows_written(site, ["bill-1", "bill-2", *again]) == 2


def a_poison_run(site: Production, blocks: list[Block]) -> None:
    (look,) = blocks
    site.terminate("site")
    with site.changed(TEST_MAX_CRASHES="2"):
        site.start_site()
        site.trigger("poison", ["poison-1"])
        site.trigger("ledger", ["bystander"])
        site.wait_for(
            lambda: site.statuses(["poison-1"]) == {"poison-1": "failed"},
            site.sweep,
        )
        site.wait_until_completed(["bystander"])
        site.terminate("site")

    do(site, look)

    with site.changed(RELEASE="2"):
        site.start_site()
        again = site.shell(
            "from django_hookflow.models import DeadLetterEntry as Letter\n"
            "print(Letter.objects.get(run_id='poison-1').replay())"
        ).strip()
        site.wait_until_completed([again])
        site.terminate("site")


def the_disk_is_full(site: Production, blocks: list[Block]) -> None:
    (make_room,) = blocks
    run_ids = [f"full-{number}" for number in range(20)]
    site.trigger("ledger", run_ids)
    site.wait_for(lambda: recorded(site, "full-%") >= 10)

    refuse_writes(site, "on")
    site.wait_for(lambda: order_is_refused(site))
    assert site.fetch("/admin/login/").status_code == 200
    refuse_writes(site, "off")

    do(site, make_room)
    site.wait_until_completed(run_ids)
    assert_that_the_ledger_adds_up(site, "full-%", run_ids, deaths=99)


def restored_from_yesterday(site: Production, blocks: list[Block]) -> None:
    dump, restore, restored = blocks
    site.kill("cron")
    site.kill("qstash")
    site.trigger("parcel", ["known"])
    site.post(site.letter("known"))
    site.trigger("transfer", ["paid"])
    do(site, dump)

    # What happens after the backup.
    site.post(site.letter("paid"))
    site.shell(tell("known"))
    newer = site.letter("known")
    site.post(newer)
    site.trigger("errand", ["begun-since"])
    unknown = site.letter("begun-since")
    assert site.all_completed(["known", "paid"])

    site.terminate("site")
    do(site, restore)
    site.start_site()
    site.start_qstash()

    for letter in (newer, unknown):
        assert site.post(letter).json()["status"] == "stale"
    assert site.statuses(["known", "paid", "begun-since"]) == {
        "known": "waiting",
        "paid": "pending",
    }
    site.wait_for(lambda: overdue(site) >= 1)
    do(site, restored)
    site.wait_until_completed(["paid"])
    assert len(site.bank.keys) == 2
    assert len(set(site.bank.keys)) == 1
    assert rows_written(site, ["paid"]) == 2
    # The provider notifies again, and the run is retried.
    site.shell(tell("known"))
    site.trigger("errand", ["begun-since"])
    site.wait_until_completed(["known", "begun-since"])
    assert rows_written(site, ["known"]) == 2


SCENARIOS: dict[str, Callable[[Production, list[Block]], None]] = {
    "Check the health of the site": nothing_is_wrong,
    "A run is stuck": a_run_is_stuck,
    "QStash is down": qstash_is_down,
    "Rotate the signing keys": keys_rotate,
    "The queue grows": the_queue_grows,
    "A deploy broke a workflow": a_deploy_broke_a_workflow,
    "Replay dead letters": dead_letters,
    "A poison run": a_poison_run,
    "The disk is full": the_disk_is_full,
    "The database was restored from yesterday": restored_from_yesterday,
    "After any of these": nothing_is_wrong,
}


@pytest.mark.parametrize("title", SCENARIOS)
def test_what_the_page_says_helps(site: Production, title: str) -> None:
    SCENARIOS[title](site, PAGE[title])


def test_every_section_with_commands_is_tried() -> None:
    assert set(SCENARIOS) == {title for title in PAGE if PAGE[title]}


def do(site: Production, block: Block) -> list[str]:
    """Type what a block says; what each of its commands printed."""
    programs = [Path(sys.executable).parent, site.postgres.programs]
    path = ":".join([*map(str, programs), os.environ["PATH"]])
    places = {
        "https://shop.example.com": site.domain,
        "shop.dump": str(site.folder / "shop.dump"),
    }
    return [
        command.run(PROJECT, site.environment | {"PATH": path}, places)
        for command in block.commands
    ]


WAITING = {"order-4711": "waiting"}


def break_bills(site: Production) -> None:
    """Create two runs that fail, and no other dead letter."""
    site.trigger("bill", ["bill-1", "bill-2"])
    failed = {"bill-1": "failed", "bill-2": "failed"}
    site.wait_for(lambda: site.statuses(failed) == failed, site.sweep)
    site.write(f"DELETE FROM {LETTERS} WHERE workflow_id <> 'bill'")


def overdue(site: Production) -> int:
    return len(site.rows(f"SELECT 1 FROM {RUNS} WHERE sweep_at < now()"))


def rows_written(site: Production, run_ids: list[str]) -> int:
    """By all steps of these runs."""
    ((count,),) = site.rows(
        "SELECT COUNT(*) FROM ledger WHERE run_id = ANY(%s)", run_ids
    )
    return int(count)


def tell(run_id: str) -> str:
    return (
        "from django_hookflow import send_event\n"
        f"send_event('parcel.go', run_id={run_id!r})"
    )


def refuse_writes(site: Production, switch: str) -> None:
    """Refuse writes, as with a full disk."""
    with psycopg.connect(
        site.database_url,
        autocommit=True,
        options="-c default_transaction_read_only=off",
    ) as connection:
        connection.execute(
            "ALTER DATABASE postgres "
            f"SET default_transaction_read_only = {switch}"
        )
    site.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = 'postgres' AND pid <> pg_backend_pid()"
    )


def order_is_refused(site: Production) -> bool:
    body = {
        "email": "ada@example.com",
        "card_number": "4242 4242 4242 4242",
        "lines": [{"sku": "MUG-01", "quantity": 1}],
    }
    return site.fetch("/api/orders/", "POST", json=body).status_code >= 500
