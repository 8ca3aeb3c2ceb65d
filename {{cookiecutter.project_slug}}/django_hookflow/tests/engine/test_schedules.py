"""Schedules of QStash, registered with the embedded server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError
from django.core.management import call_command
from pytest_django import Settings

from django_hookflow.management.commands.hookflow_schedule import interval_of
from qstash_server.conf import Config  # qstash-server
from qstash_server.conf import Quotas  # qstash-server
from qstash_server.server import Server  # qstash-server

COMMAND = "hookflow_schedule"


def out(*arguments: str) -> list[str]:
    stream = StringIO()
    call_command(COMMAND, *arguments, stdout=stream)
    return stream.getvalue().splitlines()


# qstash-server: begin
@pytest.fixture
def qstash(settings: Settings) -> Iterator[Server]:
    with Server() as server:
        settings.QSTASH_URL = server.url
        yield server


def test_both_are_registered_once_and_changed_by_the_next_time(
    qstash: Server,
) -> None:
    first = out("--wait", "30")
    changed = out("--sweep-cron", "*/5 * * * *")
    listed = out("--list")

    assert first == [f"Registered {line}" for line in REGISTERED]
    five = REGISTERED[0].replace("* * * * *", "*/5 * * * *")
    assert changed == [f"Registered {line}" for line in (five, REGISTERED[1])]
    assert listed == [five, REGISTERED[1]]


def test_those_of_another_site_are_shown_and_left_alone(
    qstash: Server, settings: Settings
) -> None:
    out()
    settings.DJANGO_HOOKFLOW_DOMAIN = "http://other.localhost:8000"
    out()

    listed = out("--list")
    removed = out("--remove")
    left = out("--list")

    assert len(listed) == 4
    assert removed == [
        "Removed hookflow-sweep-other.localhost.",
        "Removed hookflow-cleanup-other.localhost.",
    ]
    assert left == REGISTERED


def test_what_is_removed_is_gone(qstash: Server) -> None:
    out()

    would_remove = out("--remove", "--dry-run")
    removed = out("--remove")
    removed_again = out("--remove")

    names = ["hookflow-sweep-testserver", "hookflow-cleanup-testserver"]
    assert would_remove == [
        *(f"Would remove {name}." for name in names),
        "Nothing was changed. Run again without --dry-run.",
    ]
    assert removed == [f"Removed {name}." for name in names]
    assert removed_again == ["No schedule of this site is registered."]
    assert out("--list") == ["No schedule is registered."]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("QSTASH_TOKEN", "another", "unable to authenticate: invalid token"),
        ("DJANGO_HOOKFLOW_DOMAIN", "https://elsewhere.example.com",
         "is neither loopback nor this project's own host"),
    ],
)  # fmt: skip
def test_what_qstash_refuses_is_a_sentence(
    qstash: Server, settings: Settings, name: str, value: str, reason: str
) -> None:
    setattr(settings, name, value)

    with pytest.raises(CommandError) as caught:
        call_command(COMMAND)

    assert str(caught.value).startswith("QStash refused: ")
    assert reason in str(caught.value)


def test_a_bad_cron_line_is_refused(qstash: Server) -> None:
    with pytest.raises(CommandError, match=r"QStash refused: .*cron"):
        call_command(COMMAND, "--sweep-cron", "every minute")


def test_a_quota_that_is_used_up_is_a_sentence(settings: Settings) -> None:
    config = Config(
        token=settings.QSTASH_TOKEN,
        current_key=settings.QSTASH_CURRENT_SIGNING_KEY,
        next_key=settings.QSTASH_NEXT_SIGNING_KEY,
        own_host="testserver",
        quotas=Quotas(max_schedules=1),
    )
    with Server(config=config) as server:
        settings.QSTASH_URL = server.url

        with pytest.raises(CommandError, match=r"QStash refused: .*quota"):
            call_command(COMMAND)


# qstash-server: end
REGISTERED = [
    'hookflow-sweep-testserver: "* * * * *" '
    "http://testserver/hookflow/maintenance/sweep/",
    'hookflow-cleanup-testserver: "17 3 * * *" '
    "http://testserver/hookflow/maintenance/cleanup/",
]


def test_a_dry_run_says_what_would_be_registered_and_sends_nothing() -> None:
    assert out("--dry-run") == [
        *(f"Would register {line}" for line in REGISTERED),
        "Nothing was changed. Run again without --dry-run.",
    ]


@pytest.mark.parametrize("flag", [[], ["--list"], ["--wait", "0.3"]])
def test_a_qstash_that_is_away_is_a_sentence(flag: list[str]) -> None:
    with pytest.raises(CommandError) as caught:
        call_command(COMMAND, *flag)

    assert re.fullmatch(
        "QStash cannot be reached at http://127.0.0.1:1: "
        ".*Connection refused. Compare "
        "QSTASH_URL; if it is the embedded server, start that first.",
        str(caught.value),
    )


@pytest.mark.parametrize("domain", ["", "shop.example.com", "https://"])
def test_without_an_address_nothing_is_registered(
    settings: Settings, domain: str
) -> None:
    settings.DJANGO_HOOKFLOW_DOMAIN = domain

    with pytest.raises(CommandError) as caught:
        call_command(COMMAND)

    assert str(caught.value) == (
        f"DJANGO_HOOKFLOW_DOMAIN is {domain!r}, so QStash has no address to "
        'call. Set it to your public URL, such as "https://shop.example.com".'
    )


@pytest.mark.parametrize(
    ("cron", "seconds"),
    [
        ("* * * * *", 60),
        ("*/5 * * * *", 300),
        ("CRON_TZ=Europe/Berlin */15 * * * *", 900),
        ("7 * * * *", 3600),
        ("0 */6 * * *", 21_600),
        ("17 3 * * *", 86_400),
        ("nonsense", 86_400),
    ],
)
def test_a_schedule_tells_the_site_how_often_it_comes(
    cron: str, seconds: int
) -> None:
    assert interval_of(cron) == timedelta(seconds=seconds)
