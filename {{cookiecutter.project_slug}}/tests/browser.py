"""A real browser that notes violated policies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import ConsoleMessage
from playwright.sync_api import Page
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def browser() -> Iterator[tuple[Page, list[str]]]:
    """Yield a page, and its messages on violated policies and errors."""
    if CHROMIUM is None:
        pytest.skip("No chromium on this machine: apt install chromium")
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            said.append(f"{message.page and message.page.url} {message.text}")

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = chromium.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page, said
        chromium.close()
