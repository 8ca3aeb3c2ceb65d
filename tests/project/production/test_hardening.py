"""Throttles, and security headers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from project.production.stack import Production


def test_a_page_allows_scripts_of_its_own_origin_only(
    site: Production,
) -> None:
    answer = site.fetch("/admin/login/")

    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["Content-Security-Policy"].split(";")
        if part.strip()
    )
    assert "unsafe-inline" not in policy.get(
        "script-src", policy["default-src"]
    )
    assert "unsafe-eval" not in str(policy)
    assert policy["frame-ancestors"] == "'none'"
    assert policy["object-src"] == "'none'"
    assert policy["base-uri"] in ("'none'", "'self'")
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", answer.text)


def test_guessing_passwords_of_the_admin_is_slowed_down(
    site: Production,
) -> None:
    """Whatever address the guesser claims to have, before the proxy's."""
    guesses = until_429(
        lambda n: log_in(site, f"10.0.0.{n}, 203.0.113.7"), allowed=20
    )

    somebody_else = log_in(site, "203.0.113.8")

    assert guesses == [200] * (len(guesses) - 1) + [429]
    assert len(guesses) > 1
    assert somebody_else == 200


def test_sending_forged_messages_is_slowed_down(site: Production) -> None:
    answers = until_429(lambda _: forge(site, "203.0.113.9"), allowed=120)

    assert answers == [401] * (len(answers) - 1) + [429]
    assert len(answers) > 1


def until_429(ask: Callable[[int], int], allowed: int) -> list[int]:
    """Return all answers; a new hour or minute allows twice."""
    answers: list[int] = []
    while 429 not in answers and len(answers) <= 2 * allowed:
        answers.append(ask(len(answers)))
    return answers


def forge(site: Production, forwarded_for: str) -> int:
    return site.fetch(
        "/hookflow/workflow/errand/",
        "POST",
        content=b"{}",
        headers={"X-Forwarded-For": forwarded_for},
    ).status_code


def log_in(site: Production, forwarded_for: str) -> int:
    """Return how a wrong password is answered that comes from there."""
    page = site.fetch("/admin/login/")
    cookie = page.cookies["csrftoken"]
    return site.fetch(
        "/admin/login/",
        "POST",
        data={
            "username": "boss",
            "password": secrets.token_hex(4),
            "csrfmiddlewaretoken": cookie,
        },
        headers={
            "Cookie": f"csrftoken={cookie}",
            "Referer": f"https://{page.url.netloc.decode()}/admin/login/",
            "X-Forwarded-For": forwarded_for,
        },
    ).status_code
