"""Actions of an operator on a site at work, and their effects."""

from __future__ import annotations

import httpx

from project.containers.test_stopping import idle_connection
from project.production.stack import RUNS
from project.production.stack import Production
from project.production.test_load import assert_that_the_ledger_adds_up
from project.production.test_load import executions
from project.production.test_load import recorded


def test_a_site_told_to_stop_ends_its_steps_and_loses_nothing(
    site: Production,
) -> None:
    run_ids = [f"stopped-{number}" for number in range(30)]
    # One worker, which has received it when it closes; until then the brake
    # holds it at work, or it could be done with everything.
    with site.unhurried(WEB_CONCURRENCY="1"):
        process = site.processes["site"]
        with idle_connection(site) as ended:
            # Runs of other tests write there, too.
            site.brake_at("INSERT INTO ledger", "stopped-")
            site.trigger("ledger", run_ids)
            site.wait_until_it_stands()
            with site.told_to_stop("site"):
                ended()
                site.release()
        begun = executions(site, "stopped-%")
        site.start_site()

        # One that was killed would keep its run's lease for ten minutes.
        site.wait_until_completed(run_ids)
    assert process.returncode == 0
    assert {step_id for _, step_id in begun} == {"step-0"}
    # No step was cut off, so none was executed again.
    assert_that_the_ledger_adds_up(site, "stopped-%", run_ids, deaths=0)


def test_the_step_under_way_ends_and_the_run_is_handed_on(
    site: Production,
) -> None:
    # One worker, which has received it when it closes.
    with site.unhurried(WEB_CONCURRENCY="1"):
        site.brake_at("INSERT INTO ledger", "standing")
        site.trigger("ledger", ["standing"])
        site.wait_until_it_stands()

        with idle_connection(site) as ended, site.told_to_stop("site"):
            ended()
            site.release()
        done = executions(site, "standing")
        left = site.rows(
            f"SELECT status, lease_token FROM {RUNS} WHERE run_id = 'standing'"
        )
        site.start_site()

        assert done == {("standing", "step-0"): 1}
        assert left == [("waiting", "")]
        site.wait_until_completed(["standing"])
    assert_that_the_ledger_adds_up(site, "standing", ["standing"], deaths=0)


def test_running_runs_go_on_in_new_code_with_a_step_more(
    site: Production,
) -> None:
    run_ids = [f"parcel-{number}" for number in range(10)]
    site.trigger("parcel", run_ids)
    site.wait_for(lambda: site.statuses(run_ids) == waiting(run_ids))

    with site.changed(RELEASE="2"):
        site.terminate("site")
        site.start_site()
        site.shell("\n".join(tell(run_id) for run_id in run_ids))
        site.wait_until_completed(run_ids)
        site.terminate("site")

    assert [site.steps_of(run_id) for run_id in run_ids] == [
        ["pack", "word", "insure", "send"]
    ] * len(run_ids)


def test_a_database_that_restarts_loses_nothing(site: Production) -> None:
    run_ids = [f"restart-{number}" for number in range(30)]
    site.trigger("ledger", run_ids)
    site.wait_for(lambda: recorded(site, "restart-%") >= 20)

    site.postgres.stop("fast")
    site.wait_for(lambda: site.fetch("/readyz").status_code == 503)
    alive = site.fetch("/livez").status_code
    site.postgres.start()

    assert alive == 200
    site.wait_for(lambda: site.fetch("/readyz").status_code == 200)
    site.wait_until_completed(run_ids)
    # A step whose record was lost with the connection is executed again.
    assert_that_the_ledger_adds_up(site, "restart-%", run_ids, deaths=1)


def test_a_database_that_crashes_loses_nothing(site: Production) -> None:
    run_ids = [f"crash-{number}" for number in range(30)]
    site.trigger("ledger", run_ids)
    site.wait_for(lambda: recorded(site, "crash-%") >= 20)

    site.postgres.stop("immediate")
    site.postgres.start()

    site.wait_until_completed(run_ids)
    assert_that_the_ledger_adds_up(site, "crash-%", run_ids, deaths=1)


def test_keys_rotate_while_messages_are_on_their_way(
    site: Production,
) -> None:
    mark = len(site.text())
    run_ids = [f"rotated-{number}" for number in range(30)]
    site.trigger("ledger", run_ids[:15])

    keys = rotate(site)
    site.trigger("ledger", run_ids[15:])
    site.wait_for(lambda: recorded(site, "rotated-%") >= 60)
    site.secrets = {
        **site.secrets,
        "QSTASH_CURRENT_SIGNING_KEY": keys["current"],
        "QSTASH_NEXT_SIGNING_KEY": keys["next"],
    }
    site.terminate("site")
    site.start_site()

    site.wait_until_completed(run_ids)
    assert "is refused" not in site.text()[mark:]


def test_orders_are_taken_while_qstash_is_away(unrung: Production) -> None:
    order = unrung.place_order("MUG-01")

    status = status_of(unrung, order)
    ready = unrung.fetch("/readyz").status_code
    # A worker that has just seen QStash says so for some seconds more.
    complaint = unrung.wait_for(lambda: complaint_about(unrung, "transport"))
    unrung.start_qstash()

    assert (status, ready) == ("placed", 200)
    assert complaint.status_code == 503
    unrung.wait_for(
        lambda: status_of(unrung, order) == "fulfilled", unrung.sweep
    )


def rotate(site: Production) -> dict[str, str]:
    """Press the button of the console: {"current", "next"} from now on."""
    token = site.secrets["QSTASH_TOKEN"]
    keys: dict[str, str] = httpx.post(
        f"{site.qstash}/v2/keys/rotate",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
    ).json()
    return keys


def complaint_about(site: Production, check: str) -> httpx.Response | None:
    """Return the page for monitors when this check is not well, else None."""
    answer = site.fetch("/readyz?all")
    return None if answer.json()["checks"][check]["ok"] else answer


def status_of(site: Production, order: str) -> str:
    return str(site.get(f"/api/orders/{order}/")["status"])


def waiting(run_ids: list[str]) -> dict[str, str]:
    return dict.fromkeys(run_ids, "waiting")


def tell(run_id: str) -> str:
    return (
        "from django_hookflow import send_event\n"
        f"send_event('parcel.go', run_id={run_id!r})"
    )
