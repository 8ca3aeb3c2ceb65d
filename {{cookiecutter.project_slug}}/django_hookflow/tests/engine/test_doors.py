"""The admin, the system checks, the log, and the names that are promised."""

from __future__ import annotations

import importlib
import os
import random
import string
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User
from django.core import checks
from django.db import connections
from django.test import Client
from django.urls import reverse

import django_hookflow
from django_hookflow import WorkflowContext
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.conf import Settings
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.exceptions import StepCompleted
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import Event
from django_hookflow.models import WorkflowRun
from django_hookflow.strength import weakness
from django_hookflow.testing.world import World
from django_hookflow.workflows.context import StepManager

PROMISED = {
    "django_hookflow": ["workflow", "send_event", "RetryPolicy"],
    "django_hookflow.exceptions": ["WorkflowError", "StepCompleted"],
    "django_hookflow.models": ["WorkflowRun", "StepExecution"],
    "django_hookflow.dlq": ["DeadLetterEntry"],
    "django_hookflow.retry": ["is_retryable_error", "RetryPolicy"],
    "django_hookflow.persistence": ["WorkflowPersistence"],
    "django_hookflow.urls": ["urlpatterns"],
    "django_hookflow.workflows.decorator": ["workflow", "WorkflowWrapper"],
    "django_hookflow.workflows.context": ["WorkflowContext", "StepManager"],
    "django_hookflow.workflows.registry": ["get_workflow"],
    "django_hookflow.workflows.handlers": [
        "publish_next_step",
        "verify_qstash_signature",
    ],
    "django_hookflow.workflows.views": ["workflow_webhook"],
}

FIELDS = {
    "WorkflowRun": {
        "run_id", "workflow_id", "status", "data", "result", "error_message",
        "created_at", "completed_at",
    },
    "StepExecution": {"workflow_run", "step_id", "result", "executed_at"},
    "DeadLetterEntry": {
        "workflow_id", "run_id", "payload", "error_message", "is_replayed",
    },
}  # fmt: skip


@pytest.mark.parametrize("module", PROMISED)
def test_promised_names_can_be_imported(module: str) -> None:
    found = importlib.import_module(module)

    assert [n for n in PROMISED[module] if not hasattr(found, n)] == []


@pytest.mark.parametrize("model", FIELDS)
def test_promised_fields_are_there(model: str) -> None:
    fields = apps.get_model("django_hookflow", model)._meta.get_fields()

    assert FIELDS[model] <= {field.name for field in fields}


def test_promised_steps_are_there() -> None:
    steps = {"run", "sleep", "sleep_until", "call", "wait_for_event"}

    assert steps <= set(dir(StepManager))


def test_public_names_are_sorted_and_real() -> None:
    names = django_hookflow.__all__

    assert names == sorted(names)
    assert all(getattr(django_hookflow, name) for name in names)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = django_hookflow.nothing


def test_a_caught_suspension_explains_itself() -> None:
    assert str(StepCompleted()) == (
        "StepCompleted ends this delivery of the workflow. If you see it, a "
        "bare `except:` or `except BaseException:` around a step caught it; "
        "catch Exception instead."
    )


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


def staff(*permissions: str) -> Client:
    user = User.objects.create(username="ann", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=permissions)
    )
    client = Client()
    client.force_login(user)
    return client


def dead_letter(world: World) -> DeadLetterEntry:
    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("fine", str)
        raise ValueError("no")

    world.finish(failing.trigger(run_id="r1"))
    return DeadLetterEntry.objects.get()


def replay_in_admin(client: Client, letter: DeadLetterEntry) -> Any:
    return client.post(
        reverse("admin:django_hookflow_deadletterentry_changelist"),
        {"action": "replay_entries", "_selected_action": [letter.pk]},
        follow=True,
    )


def test_staff_who_may_change_dead_letters_replay_them(world: World) -> None:
    letter = dead_letter(world)
    client = staff("view_deadletterentry", "change_deadletterentry")

    first = replay_in_admin(client, letter)
    second = replay_in_admin(client, letter)

    assert "Replayed as" in first.content.decode()
    assert "was already replayed" in second.content.decode()
    assert WorkflowRun.objects.count() == 2


def test_staff_who_may_only_look_cannot_start_runs(world: World) -> None:
    letter = dead_letter(world)
    client = staff("view_deadletterentry")

    page = replay_in_admin(client, letter).content.decode()

    assert "Replay behind the completed steps" not in page
    assert WorkflowRun.objects.count() == 1


@pytest.mark.parametrize("model", ["workflowrun", "event", "deadletterentry"])
def test_the_admin_shows_everything_and_changes_nothing(
    world: World, model: str
) -> None:
    dead_letter(world)
    send_event("x", {"a": 1}, match="m")
    client = Client()
    client.force_login(
        User.objects.create(username="root", is_staff=True, is_superuser=True)
    )
    listing = reverse(f"admin:django_hookflow_{model}_changelist")
    kind = apps.get_model("django_hookflow", model)
    row = kind._default_manager.get()
    page = reverse(f"admin:django_hookflow_{model}_change", args=[row.pk])

    assert client.get(listing).status_code == 200
    assert str(row) in client.get(page).content.decode()
    assert client.post(page, {"status": "completed"}).status_code == 403
    assert client.get(listing + "add/").status_code == 403


def test_the_log_tells_the_story_of_a_run_once(
    every: World, caplog: Any
) -> None:
    @workflow
    def story(ctx: WorkflowContext) -> None:
        ctx.step.run("a", str)
        ctx.step.sleep("nap", 1)

    caplog.set_level("DEBUG", "django_hookflow")
    every.finish(story.trigger(run_id="r1"))

    told = [r for r in caplog.records if r.name == "django_hookflow"]
    assert [record.getMessage() for record in told] == [
        "story r1 triggered",
        "story r1 delivery 1",
        "story r1 step a",
        "story r1 waiting",
        "story r1 delivery 2",
        "story r1 step nap",
        "story r1 completed",
    ]


def test_a_fresh_process_knows_every_workflow() -> None:
    # This one may have imported them for other tests.
    script = """if True:
        import django
        django.setup()
        from django_hookflow.workflows.registry import get_all_workflows
        print(*(found.name for found in get_all_workflows().values()))"""

    known = subprocess.run(
        [sys.executable, "-c", script],
        cwd=django_settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()

    for app in apps.get_app_configs():
        spec = find_spec(f"{app.name}.workflows")
        if spec and spec.submodule_search_locations is None:
            assert any(name.startswith(f"{app.name}.") for name in known)


def test_a_run_has_a_duration_when_its_step_is_recorded(
    every: World,
) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.sleep("nap", 60)

    run_id = sleeper.trigger()
    every.deliver()
    assert every.run_of(run_id).step_executions.get().duration is None

    step = every.finish(run_id).step_executions.get()
    assert step.duration is not None
    assert step.duration.total_seconds() == 60
    assert (str(step), str(step.workflow_run)) == (
        "nap",
        f"sleeper {run_id}",
    )


def test_a_view_shows_the_steps_of_a_run_that_still_waits(
    every: World,
) -> None:
    @workflow
    def sleeper(ctx: WorkflowContext) -> None:
        ctx.step.run("before", str)
        ctx.step.sleep("nap", 60)

    run_id = sleeper.trigger()
    every.deliver()

    run = WorkflowRun.objects.prefetch_related("step_executions").get(
        run_id=run_id
    )
    steps = [
        {
            "step_id": step.step_id,
            "status": step.status,
            "executed_at": step.executed_at.isoformat(),
        }
        for step in run.step_executions.all()
    ]

    assert steps == [
        {
            "step_id": "before",
            "status": "completed",
            "executed_at": "2026-01-01T00:00:00+00:00",
        },
        {
            "step_id": "nap",
            "status": "waiting",
            "executed_at": "2026-01-01T00:00:00+00:00",
        },
    ]


def test_the_sender_of_a_message_keeps_what_it_cannot_deliver(
    world: World,
) -> None:
    from django_hookflow.delivery import Delivery

    unknown = Delivery(run_id="r", workflow_id="unknown", token="t")
    world.transport.send(unknown)
    world.pass_time("1d")

    assert [m.retried for m in world.transport.dead] == [3]
    assert world.transport.next_due() is None


def test_the_admin_shows_text_that_is_no_utf_8(
    world: World, admin_client: Client
) -> None:
    name = os.fsdecode(b"caf\xe9.pdf")

    @workflow
    def scan(ctx: WorkflowContext) -> Any:
        ctx.step.run("list", lambda: {name: [name]})
        ctx.step.wait_for_event("go", "go")
        raise ValueError(name)

    run_id = scan.trigger({"file": name})
    world.deliver()
    send_event("go", name, run_id=run_id)
    run = world.finish(run_id)

    for row in (run, Event.objects.get(), DeadLetterEntry.objects.get()):
        label = row._meta.model_name
        page = admin_client.get(
            f"/admin/django_hookflow/{label}/{row.pk}/change/"
        )
        assert page.status_code == 200
        assert "caf\\udce9.pdf" in page.content.decode()


def test_an_error_type_that_is_no_utf_8_fails_the_run_all_the_same(
    world: World, admin_client: Client
) -> None:
    name = os.fsdecode(b"caf\xe9")

    @workflow
    def scan(ctx: WorkflowContext) -> None:
        raise WorkflowError(name, name, name)

    run = world.finish(scan.trigger())
    page = admin_client.get(
        f"/admin/django_hookflow/workflowrun/{run.pk}/change/"
    )

    assert (run.status, run.error_type) == ("failed", "caf\\udce9")
    assert page.status_code == 200
