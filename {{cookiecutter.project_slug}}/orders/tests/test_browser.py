"""The pages in a real browser, served by a real process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page
from playwright.sync_api import expect
from playwright.sync_api import sync_playwright

from django_hookflow.tests.ports import free_port

pytestmark = pytest.mark.http

PROJECT = Path(__file__).resolve().parents[2]
# Seconds for anything to happen: a site that was killed in a delivery leaves
# a lease of half a minute behind.
PATIENCE = 120
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

expect.set_options(timeout=PATIENCE * 1000)


class Site:
    """The site with its embedded QStash server, as `make dev` runs it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        secrets = (
            "DJANGO_SECRET_KEY",
            "PAYMENTS_API_KEY",
            "PAYMENTS_WEBHOOK_SECRET",
            "QSTASH_CURRENT_SIGNING_KEY",
            "QSTASH_NEXT_SIGNING_KEY",
            "QSTASH_TOKEN",
        )
        self.variables = {
            **os.environ,
            **{name: f"{name.lower()}-of-the-tests" for name in secrets},
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "DJANGO_ENV_FILE": os.devnull,
            "DJANGO_HOOKFLOW_DOMAIN": self.url,
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "PAYMENTS_URL": f"{self.url}/sandbox",
            "QSTASH_URL": f"http://127.0.0.1:{free_port()}",
        }

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, env=self.variables, cwd=PROJECT, check=True)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Serve while the block lasts, and kill what is left of it."""
        command = [sys.executable, "manage.py", "runserver", "--noreload"]
        with self.log.open("ab") as log, subprocess.Popen(
            [*command, f"127.0.0.1:{self.port}"],
            env=self.variables, cwd=PROJECT, stdout=log, stderr=log,
        ) as process:  # fmt: skip
            try:
                self.wait_until_it_answers()
                yield process
            finally:
                process.kill()

    def wait_until_it_answers(self) -> None:
        transport = httpx.HTTPTransport(retries=8)  # over two minutes
        with httpx.Client(transport=transport, timeout=PATIENCE) as client:
            client.get(self.url).raise_for_status()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.manage("migrate", "--verbosity", "0")
    made.manage("load_products")
    return made


@pytest.fixture
def page() -> Iterator[Page]:
    """Yield a page whose errors fail the test."""
    if CHROMIUM is None:
        pytest.skip("No chromium on this machine: apt install chromium")
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
    assert errors == []


def place_an_order(page: Page, site: Site, card: str = "4242") -> None:
    page.goto(site.url)
    page.get_by_label(card).check()
    page.get_by_label("Stoneware mug, slate").fill("2")
    page.get_by_label("E-mail").fill("ada@example.com")
    expect(page.locator(".total")).to_have_text("Total 29.00 EUR")
    page.get_by_role("button", name="Place the order").click()


def test_steps_fill_in_until_the_order_is_fulfilled(
    page: Page, site: Site
) -> None:
    with site.running():
        place_an_order(page, site)

        expect(page.get_by_role("status")).to_have_text("Fulfilled")
        expect(page.locator("#steps h3")).to_have_text(
            [
                "Validate",
                "Reserve stock",
                "Charge card",
                "Record charge",
                "Payment",
                "Record payment",
                "Fulfil",
                "Confirmation mail",
            ]
        )
        expect(page.locator("#pulse")).to_have_text("The run has ended.")


@pytest.mark.slow
def test_page_outlives_the_death_of_the_site(page: Page, site: Site) -> None:
    with site.running() as process:
        place_an_order(page, site, card="9995")  # waits to ask again
        expect(page.locator("#steps")).to_contain_text("waiting")
        process.send_signal(signal.SIGKILL)

    expect(page.locator("#pulse")).to_contain_text("does not answer")
    with site.running():
        expect(page.get_by_role("status")).to_have_text("Fulfilled")
        expect(page.locator("#pulse")).to_have_text("The run has ended.")
