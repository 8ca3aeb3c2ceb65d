"""The system checks, each with its cure."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest
from django.core import checks
from django.db import connections

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.conf import Settings
from django_hookflow.strength import weakness
from django_hookflow.testing.world import World


def problems(settings: Any, **changes: Any) -> list[tuple[str, str]]:
    for name, value in changes.items():
        setattr(settings, name, value)
    found = checks.run_checks(tags=["hookflow"])
    return [(str(m.id).removeprefix("django_hookflow."), m.msg) for m in found]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        (
            {"DJANGO_HOOKFLOW_DOMAIN": ""},
            [
                (
                    "E001",
                    "DJANGO_HOOKFLOW_DOMAIN is not configured, so QStash has "
                    "no address to call.",
                )
            ],
        ),
        (
            {"DJANGO_HOOKFLOW_DOMAIN": "shop.example.com"},
            [
                (
                    "E002",
                    "DJANGO_HOOKFLOW_DOMAIN is 'shop.example.com', which does "
                    'not begin with "http://" or "https://".',
                )
            ],
        ),
        (
            {"QSTASH_CURRENT_SIGNING_KEY": ""},
            [
                (
                    "E003",
                    "QSTASH_CURRENT_SIGNING_KEY is not configured, so no "
                    "message can be verified.",
                )
            ],
        ),
        (
            {"QSTASH_NEXT_SIGNING_KEY": "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"},
            [
                (
                    "E004",
                    "QSTASH_NEXT_SIGNING_KEY is a development key that is "
                    "printed in QStash's docs: anyone can sign with it.",
                )
            ],
        ),
        (
            {
                "QSTASH_NEXT_SIGNING_KEY": "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
                "DEBUG": True,
            },
            [],
        ),
        (
            {
                "DJANGO_HOOKFLOW_TRANSPORT": (
                    "django_hookflow.transports.qstash.QStashTransport"
                ),
                "QSTASH_TOKEN": "",
            },
            [
                (
                    "E005",
                    "QSTASH_TOKEN is not configured, so nothing can be "
                    "published.",
                )
            ],
        ),
        (
            {"DJANGO_HOOKFLOW_TRANSPORT": "nowhere.Transport"},
            [
                (
                    "E006",
                    "DJANGO_HOOKFLOW_TRANSPORT is 'nowhere.Transport', which "
                    "cannot be imported: No module named 'nowhere'",
                )
            ],
        ),
        (
            {"ROOT_URLCONF": "django.contrib.auth.urls"},
            [
                (
                    "E007",
                    "django_hookflow.urls is not included, so no message "
                    "arrives.",
                )
            ],
        ),
        (
            {"DJANGO_HOOKFLOW_WEBHOOK_PATH": "flows"},
            [
                (
                    "W001",
                    "DJANGO_HOOKFLOW_WEBHOOK_PATH is '/flows/', but the "
                    "webhook is at '/hookflow/workflow/id/'. Messages go "
                    "there.",
                )
            ],
        ),
        (
            {"DJANGO_HOOKFLOW_PERSISTENCE_ENABLED": False},
            [
                (
                    "W002",
                    "DJANGO_HOOKFLOW_PERSISTENCE_ENABLED is False and has no "
                    "effect: without its rows, a lost message would be a lost"
                    " run.",
                )
            ],
        ),
        (
            {
                "QSTASH_CURRENT_SIGNING_KEY": "sig_abc123...",
                "QSTASH_NEXT_SIGNING_KEY": "any opaque text",
                "QSTASH_TOKEN": "eyJ...",
                "DJANGO_HOOKFLOW_TRANSPORT": (
                    "django_hookflow.transports.qstash.QStashTransport"
                ),
                "DEBUG": True,
            },
            [],
        ),
        (
            {"DJANGO_HOOKFLOW_LEASE": "30"},
            [
                (
                    "E010",
                    "DJANGO_HOOKFLOW_LEASE is '30', but must be a number from "
                    "0.1 to 2,147,483,647.",
                )
            ],
        ),
        (
            {"USE_TZ": False},
            [
                (
                    "E011",
                    "USE_TZ is False, but runs are compared with times in "
                    "UTC.",
                )
            ],
        ),
        (
            {
                "DJANGO_HOOKFLOW_DOMAIN": "http://shop.example.com",
                "SECURE_SSL_REDIRECT": True,
            },
            [
                (
                    "W003",
                    "DJANGO_HOOKFLOW_DOMAIN is 'http://shop.example.com' and "
                    "SECURE_SSL_REDIRECT is on, so each delivery is "
                    "redirected to https and does not arrive.",
                )
            ],
        ),
    ],
)
def test_checks_name_the_problem(
    settings: Any, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert problems(settings, **changes) == expected


ENGINE = [*Settings.__annotations__]

QSTASH = "django_hookflow.transports.qstash.QStashTransport"


@pytest.mark.parametrize("name", ENGINE)
def test_a_setting_that_is_none_is_one_that_is_left_out(
    world: World, settings: Any, name: str
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
    setattr(settings, name, None)

    @workflow
    def hello(ctx: WorkflowContext) -> None: ...

    found = checks.run_checks(tags=["hookflow"])
    hello.trigger(run_id="r1")

    needed = ("QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY",
              "QSTASH_NEXT_SIGNING_KEY", "DJANGO_HOOKFLOW_DOMAIN")  # fmt: skip
    said = [one.msg for one in found if one.is_serious()]
    if name in needed:
        assert len(said) == 1
        assert said[0].startswith(f"{name} is not configured, so ")
    else:
        assert said == []
    assert world.run_of("r1").status == "pending"


@pytest.mark.parametrize(
    "value", [object(), float("nan"), float("inf"), -1, [1], b"x"]
)
@pytest.mark.parametrize("name", ENGINE)
def test_an_impossible_value_of_a_setting_is_one_sentence(
    settings: Any, name: str, value: Any
) -> None:
    setattr(settings, name, value)

    found = checks.run_checks(tags=["hookflow"])
    checks.run_checks()  # and no other check fails of it

    assert [one.is_serious() for one in found] == [True]
    assert found[0].hint


@pytest.mark.parametrize(
    ("domain", "hint"),
    [
        ("https://shop.example.com ", "https://shop.example.com"),
        ("https://shop.example.com?a=1", "https://shop.example.com"),
        ("https://shop.example.com#top", "https://shop.example.com"),
        ("https://", "https://shop.example.com"),
        ("https:///path", "https://path"),
        ("https://[", "https://["),
        ("https://shop.example.com:port", "https://shop.example.com:port"),
        ("https://ann@shop.example.com", "https://shop.example.com"),
        ("https://münchen.example", "https://münchen.example"),
        ("HTTPS://shop.example.com", "https://shop.example.com"),
        ("ftp://shop.example.com", "https://shop.example.com"),
        ("//shop.example.com", "https://shop.example.com"),
        ("https://shop.example.com\n", "https://shop.example.com"),
    ],
)
def test_an_address_that_cannot_work_is_refused(
    settings: Any, domain: str, hint: str
) -> None:
    settings.DJANGO_HOOKFLOW_DOMAIN = domain

    (found,) = checks.run_checks(tags=["hookflow"])

    assert found.id == "django_hookflow.E002"
    assert found.msg.startswith(f"DJANGO_HOOKFLOW_DOMAIN is {domain!r}, which")
    assert found.hint == f'Write it like this: "{hint}".'


@pytest.mark.parametrize(
    "key",
    [
        "   ", "a", "changeme", "your-next-signing-key", "sig_abc123...",
        "x" * 40, "ab" * 20, "sig_" + "0" * 28,
        "change-me-Before-You-go-live-2026-please",
        "sig_the_key_of_our_shop_in_the_production_site",
        "sig_4Kq7Zp2mXv9RtB3nWc8LsDf6HgYj ",
        "\nsig_4Kq7Zp2mXv9RtB3nWc8LsDf6HgYj",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "name", ["QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"]
)
def test_a_key_that_can_be_guessed_is_refused(
    settings: Any, name: str, key: str
) -> None:
    setattr(settings, name, key)

    (found,) = checks.run_checks(tags=["hookflow"])

    assert found.id == "django_hookflow.E012"
    assert found.msg.startswith(f"{name} can be guessed or is mistyped: it ")


def test_the_keys_that_real_sites_have_are_not_called_guessable() -> None:
    base58 = string.ascii_letters + string.digits
    dice = random.Random(7)
    keys = [
        "sig_" + "".join(dice.choices(alphabet, k=28))
        for alphabet in (base58, "0123456789abcdef", base58 + "-_")
        for _ in range(2000)
    ]

    assert [key for key in keys if weakness(key)] == []


def test_every_check_has_a_cure(settings: Any) -> None:
    settings.DJANGO_HOOKFLOW_DOMAIN = ""
    settings.QSTASH_CURRENT_SIGNING_KEY = ""
    settings.DJANGO_HOOKFLOW_WEBHOOK_PATH = "flows"

    found = checks.run_checks(tags=["hookflow"])

    assert len(found) == 3
    assert all(message.hint for message in found)


def test_a_database_without_known_locks_is_refused(settings: Any) -> None:
    database = connections["default"]
    try:
        vars(database)["vendor"] = "oracle"
        assert problems(settings) == [
            (
                "E008",
                "Runs are in a database of the kind 'oracle', whose locks "
                "the engine does not know.",
            )
        ]
    finally:
        del vars(database)["vendor"]


ISOLATED = ": an event and the run that waits for it can miss each other."


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, ""),
        ({"isolation_level": 2}, ""),
        ({"options": "-c search_path=shop"}, ""),
        ({"isolation_level": 3}, "is asked for the isolation level 3"),
        (
            {"options": "-c default_transaction_isolation=serializable"},
            "is asked for the isolation level serializable",
        ),
        (
            {"options": r"-c default_transaction_isolation=repeatable\ read"},
            r"is asked for the isolation level repeatable\ read",
        ),
    ],
)
def test_an_isolation_in_which_events_are_missed_is_refused(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    problem: str,
) -> None:
    database = connections["default"]
    with monkeypatch.context() as patched:
        patched.setitem(vars(database), "vendor", "postgresql")
        patched.setitem(database.settings_dict, "OPTIONS", options)
        found = problems(settings)

    expected = f"The database of the runs {problem}{ISOLATED}"
    assert found == ([("E013", expected)] if problem else [])


def test_an_isolation_that_the_database_itself_asks_for_is_refused() -> None:
    database = connections["default"]
    if database.vendor != "postgresql":
        assert (
            checks.run_checks(tags=["database"], databases=["default"]) == []
        )
        return
    with database.cursor() as cursor:
        cursor.execute("SET default_transaction_isolation = 'serializable'")
    try:
        found = checks.run_checks(tags=["database"], databases=["default"])
    finally:
        database.close()

    assert [(message.id, message.msg) for message in found] == [
        (
            "django_hookflow.E013",
            "The database of the runs has the isolation level 'serializable'"
            + ISOLATED,
        )
    ]
    assert checks.run_checks(tags=["database"], databases=["default"]) == []
