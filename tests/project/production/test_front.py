"""The answers of the deployed site to anonymous requests."""

from __future__ import annotations

import re
import secrets

import pytest

from project.production.stack import Production


def test_plain_http_is_sent_to_https(site: Production) -> None:
    answer = site.fetch("/?x=1", headers={"X-Forwarded-Proto": "http"})

    host = answer.url.netloc.decode()
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{host}/?x=1"


def test_https_is_answered_with_hsts(site: Production) -> None:
    answer = site.fetch("/admin/login/")

    assert answer.status_code == 200
    assert re.fullmatch(
        r"max-age=[1-9]\d*; includeSubDomains",
        answer.headers["Strict-Transport-Security"],
    )


def test_no_page_may_be_framed_or_sniffed(site: Production) -> None:
    answer = site.fetch("/")

    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_static_files_carry_their_hash_and_are_kept_for_ever(
    site: Production,
) -> None:
    page = site.fetch("/admin/login/").text
    path, *_ = re.findall(r"/static/admin/css/\w+\.[0-9a-f]{12}\.css", page)

    answer = site.fetch(path)

    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Type"].startswith("text/css")


def test_an_unknown_host_is_refused(site: Production) -> None:
    answer = site.fetch("/", headers={"Host": "evil.example.com"})

    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["10.1.2.3:8000", "evil.example.com"])
def test_livez_answers_a_foreign_host_in_plain_http(
    site: Production, host: str
) -> None:
    headers = {"Host": host, "X-Forwarded-Proto": "http"}

    answer = site.fetch("/livez", headers=headers)

    assert (answer.status_code, answer.text.strip()) == (200, "ok")


def test_readyz_looks_behind_the_site(site: Production) -> None:
    answer = site.fetch("/readyz", headers={"Host": "10.1.2.3"})

    assert answer.status_code == 200, answer.text


def test_cookies_stay_on_tls_and_out_of_scripts(site: Production) -> None:
    name, password = "cookies", secrets.token_urlsafe(20)
    site.shell(
        "from django.contrib.auth.models import User\n"
        f"User.objects.create_superuser({name!r}, password={password!r})"
    )

    page = site.fetch("/admin/login/")
    token = page.cookies["csrftoken"]
    entered = site.fetch(
        "/admin/login/",
        "POST",
        data={
            "username": name,
            "password": password,
            "csrfmiddlewaretoken": token,
        },
        headers={
            "Cookie": f"csrftoken={token}",
            "Referer": f"https://{page.url.netloc.decode()}/admin/login/",
        },
    )

    cookies = [
        cookie
        for answer in (page, entered)
        for cookie in answer.headers.get_list("Set-Cookie")
    ]
    # A page of ours may read the token that it sends back in a form.
    sessions = [one for one in cookies if one.startswith("sessionid=")]
    assert entered.status_code == 302
    assert all("; Secure" in cookie for cookie in cookies)
    assert len(sessions) == 1
    assert "; HttpOnly" in sessions[0]
    assert "; SameSite=Lax" in sessions[0]


def test_errors_say_nothing_of_the_site(site: Production) -> None:
    answer = site.fetch("/no-such-page/")

    assert answer.status_code == 404
    assert "urlpatterns" not in answer.text
    assert "DEBUG" not in answer.text


def test_a_form_of_another_site_is_refused(site: Production) -> None:
    answer = site.fetch(
        "/admin/login/",
        "POST",
        data={"username": "ada"},
        headers={"Origin": "https://evil.example.com"},
    )

    assert answer.status_code == 403


def test_what_is_tested_is_production_but_for_these(
    site: Production,
) -> None:
    said = site.shell(
        "import config.settings.production as real\n"
        "import project.production.settings as ours\n"
        "print(*sorted(name for name in dir(ours) if name.isupper() "
        "and getattr(ours, name) != getattr(real, name, None)))"
    )

    assert said.split() == [
        "DJANGO_HOOKFLOW_MAX_CRASHES",
        "DJANGO_HOOKFLOW_SWEEP_AFTER",
        "INSTALLED_APPS",
        "PAYMENTS_SANDBOX_NOTIFIER",
        "PAYMENTS_SANDBOX_SECONDS",
        "READY_KEEPS",
        "READY_PATIENCE",
        "STATIC_ROOT",
    ]
