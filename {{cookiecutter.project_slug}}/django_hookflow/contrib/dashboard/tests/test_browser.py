"""The pages in a real browser, by mouse and by keyboard."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Page
from playwright.sync_api import expect
from playwright.sync_api import sync_playwright

from django_hookflow.contrib.api.access import SEE_PAYLOADS
from django_hookflow.contrib.api.access import STEER
from django_hookflow.contrib.dashboard.tests.conftest import Person
from django_hookflow.contrib.dashboard.tests.test_runs import begin
from django_hookflow.contrib.dashboard.tests.test_runs import page_of
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

pytestmark = pytest.mark.http

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 60_000  # milliseconds for anything to happen
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def browsing(person: Person, site: str) -> Iterator[tuple[Page, list[str]]]:
    """Yield a page of a person, and the errors that its console shows."""
    if CHROMIUM is None:
        pytest.skip("No chromium on this machine: apt install chromium")
    errors: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        context = chromium.new_context(base_url=site)
        session = person.cookies["sessionid"].value
        context.add_cookies(
            [{"name": "sessionid", "value": session, "url": site}]
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on(
            "console",
            lambda message: (
                errors.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page, errors
        chromium.close()
        # An event loop has connections of its own, which a database that is
        # about to be dropped must not have.
        connections.close_all()


@pytest.fixture
def looks(tmp_path: Path) -> Callable[[Page, str], None]:
    """Return what takes pictures: light and dark, wide and narrow.

    HOOKFLOW_SCREENSHOTS names the folder that keeps them.
    """
    folder = Path(os.environ.get("HOOKFLOW_SCREENSHOTS", tmp_path))

    def look(page: Page, name: str) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for size, viewport in (("wide", WIDE), ("narrow", NARROW)):
                page.set_viewport_size(viewport)  # type: ignore[arg-type]
                overflow = page.evaluate(
                    "() => document.documentElement.scrollWidth"
                    " - document.documentElement.clientWidth"
                )
                assert overflow <= 0, f"{name} is too wide on {size} screens"
                path = folder / f"{name}-{scheme}-{size}.png"
                page.screenshot(path=path, full_page=True)
        page.set_viewport_size(WIDE)  # type: ignore[arg-type]

    return look


@pytest.fixture(autouse=True)
def rows_beside_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test use the database while its browser has an event loop."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    expect.set_options(timeout=PATIENCE)


def test_runs_are_watched_and_steered(
    world: World,
    login: Callable[..., Person],
    live_server: Any,
    looks: Callable[[Page, str], None],
) -> None:
    boss = login("boss", STEER, SEE_PAYLOADS, is_staff=True)
    begin(boss, "sum", all=[1, 2], order=7)
    begin(boss, "fail", order=8)
    begin(boss, "parent")
    world.deliver()

    with browsing(boss, live_server.url) as (page, errors):
        page.goto("/dashboard/")
        expect(page.locator("tbody tr")).to_have_count(3)

        # A run that begins meanwhile is shown without a reload.
        asks = begin(boss, "ask", item="a blue mug")
        naps = begin(boss, "nap", customer="Ada")
        world.deliver()
        expect(page.locator("tbody tr")).to_have_count(5)
        looks(page, "runs")

        # By keyboard: to the run, and pause it.
        page.get_by_role("link", name="api-nap").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#why")).to_contain_text("It waits in step nap")
        looks(page, "run")
        page.get_by_text("Pause…").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("stocktaking")
        page.keyboard.press("Enter")
        expect(page.locator("#why")).to_contain_text("because: stocktaking")

        # What another person does arrives, and leaves open forms alone.
        page.get_by_text("Cancel…").click()
        boss.post(page_of(naps, "resume"))
        expect(page.locator("#why")).to_contain_text("It waits in step nap")
        page.get_by_label("Yes, cancel this run").check()
        page.get_by_role("button", name="Cancel the run").click()
        expect(page.locator("#why")).to_contain_text("It is cancelled")
        assert WorkflowRun.objects.get(run_id=naps).status == "cancelled"

        page.get_by_role("link", name="Inbox").click()
        page.get_by_role("link", name="Approve it?").click()
        looks(page, "question")
        page.get_by_label("Reason").fill("a fine mug")
        page.get_by_label("Approved").check()
        page.get_by_role("button", name="Answer").click()
        expect(page).to_have_url(re.compile(re.escape(page_of(asks))))
        world.deliver()
        expect(page.locator("h1 .badge")).to_have_text("completed")
        expect(page.get_by_label("Result")).to_contain_text("a fine mug")

        page.get_by_role("link", name="Dead letters").click()
        looks(page, "dead-letters")
        page.get_by_text("Replay…").click()
        page.get_by_role("button", name="Replay").click()
        expect(page.locator(".note")).to_contain_text("goes on as this one")

    assert errors == []


def test_pages_work_without_the_script(
    world: World, ada: Person, live_server: Any
) -> None:
    run_id = begin(ada, "sum", all=[1])
    world.deliver()

    with browsing(ada, live_server.url) as (page, errors):
        page.route("**/*.js", lambda route: route.abort())
        page.goto(page_of(run_id))
        page.get_by_text("Fork…").click()
        page.get_by_label("From step").select_option("two")
        page.get_by_label("Data (JSON").fill('{"all": [1, 2, 4]}')
        page.get_by_role("button", name="Fork").click()
        expect(page.locator(".note")).to_contain_text("is a fork of")

    assert all("ERR_FAILED" in one for one in errors)
    world.deliver()
    assert WorkflowRun.objects.get(origin__run_id=run_id).result == {"sum": 7}
