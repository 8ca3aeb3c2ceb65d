"""Every address of the site, requested by each kind of user."""

from __future__ import annotations

import uuid
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib import admin
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern
from django.urls import get_resolver
from django.urls import reverse

from django_hookflow import WorkflowContext
from django_hookflow import pause_run
from django_hookflow import send_event
from django_hookflow import workflow
from django_hookflow.models import AuditEntry
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.testing.world import World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("workflows"),
]

PASSWORD = "7Qm2Xn4Vb8Zc1Lk6"
MODELS = (WorkflowRun, Event, Question, DeadLetterEntry, AuditEntry)
SAMPLES = {"uuid": uuid.UUID(int=1), "int": 1}
tried: list[str] = []


class WatchedHasher(MD5PasswordHasher):
    """Notes each password that is compared, as an attacker would by time."""

    def verify(self, password: str, encoded: str) -> bool:
        tried.append(password)
        return super().verify(password, encoded)

    def encode(self, password: str, salt: str) -> str:
        tried.append(password)
        return super().encode(password, salt)


def addresses(resolver: Any = None, before: str = "/") -> Iterator[str]:
    """Yield each URL pattern of the site with something in its places."""
    for one in (resolver or get_resolver()).url_patterns:
        values = {
            name: SAMPLES.get(type(kind).__name__[:4].lower(), "1")
            for name, kind in one.pattern.converters.items()
        }
        route = str(one.pattern)
        for name in values:
            kinds = (f"<{kind}:{name}>" for kind in ("str", "path", "int",
                     "uuid", "slug"))  # fmt: skip
            for text in (*kinds, f"<{name}>"):
                route = route.replace(text, str(values[name]))
        path = before + route.replace("^", "").replace("$", "")
        if isinstance(one, URLPattern):
            yield path
        else:
            yield from addresses(one, path)


def basic(username: str, password: str) -> dict[str, str]:
    pair = b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_address_takes_a_password_by_http_basic(
    settings: LazySettings, method: str
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.WatchedHasher"]
    User.objects.create_superuser("root", password=PASSWORD)
    settings.THROTTLES = {}
    tried.clear()
    doors = sorted({*addresses()})

    def answers(**headers: str) -> dict[str, tuple[int, str]]:
        client = Client(raise_request_exception=False)
        given = {
            door: getattr(client, method)(door, headers=headers)
            for door in doors
        }
        return {
            door: (one.status_code, one.headers.get("WWW-Authenticate", ""))
            for door, one in given.items()
        }

    without = answers()
    right = answers(**basic("root", PASSWORD))
    wrong = answers(**basic("root", "guess"))

    assert len(doors) > 20
    assert right == wrong == without
    assert not [one for one in without.values() if "Basic" in one[1]]
    assert {code for code, _ in without.values()} <= {
        200, 201, 301, 302, 400, 401, 403, 404, 405, 415,
    }  # fmt: skip
    assert tried == []


PEOPLE = ("nobody", "customer", "staff", "viewer", "everything", "root")


def client_of(person: str) -> Client:
    """Signed in as a kind of person."""
    client = Client()
    if person == "nobody":
        return client
    user = User.objects.create(
        username=person,
        is_staff=person != "customer",
        is_superuser=person == "root",
    )
    allowed = Permission.objects.all()
    if person == "viewer":
        user.user_permissions.set(allowed.filter(codename__startswith="view"))
    if person in ("everything", "customer"):
        user.user_permissions.set(allowed)
    client.force_login(user)
    return client


@pytest.fixture
def rows(world: World) -> None:
    """A run that was paused, one that failed, its letter, and an event.

    And one that asks.
    """

    @workflow
    def failing(ctx: WorkflowContext) -> None:
        ctx.step.run("divide", divmod, 1, 0)

    @workflow
    def patient(ctx: WorkflowContext) -> None:
        ctx.step.wait_for_event("word", "word", match="m")

    @workflow
    def asking(ctx: WorkflowContext) -> None:
        ctx.step.ask("approve", group="managers")

    world.finish(failing.trigger(run_id="failed"))
    patient.trigger(run_id="open")
    asking.trigger(run_id="asking")
    world.deliver()
    send_event("other", {"a": 1}, match="m")
    pause_run("open", by="ann")


def everything() -> list[list[dict[str, Any]]]:
    return [list(model._default_manager.values()) for model in MODELS]


@pytest.mark.parametrize("person", PEOPLE)
def test_no_person_changes_a_row_of_the_engine_in_the_admin(
    rows: None, person: str
) -> None:
    client = client_of(person)
    before = everything()
    reads = {"nobody": 302, "customer": 302, "staff": 403}.get(person, 200)
    writes = 302 if reads == 302 else 403
    answers = set()

    for model in MODELS:
        name = f"admin:django_hookflow_{model._meta.model_name}"
        listing = reverse(f"{name}_changelist")
        for pk in model._default_manager.values_list("pk", flat=True):
            page = reverse(f"{name}_change", args=[pk])
            delete = reverse(f"{name}_delete", args=[pk])
            history = reverse(f"{name}_history", args=[pk])
            answers |= {
                ("read", client.get(page).status_code),
                ("read", client.get(history).status_code),
                ("write", client.post(page, {"status": "x"}).status_code),
                ("write", client.get(delete).status_code),
                ("write", client.post(delete, {"post": "y"}).status_code),
            }
        add = reverse(f"{name}_add")
        answers |= {
            ("read", client.get(listing).status_code),
            ("write", client.get(add).status_code),
            ("write", client.post(add, {"status": "x"}).status_code),
        }
        keys = model._default_manager.values_list("pk", flat=True)
        client.post(
            listing,
            {
                "action": "delete_selected",
                "_selected_action": list(keys),
                "post": "y",
            },
        )

    assert answers == {("read", reads), ("write", writes)}
    assert everything() == before


def test_no_model_of_the_engine_is_in_the_admin_but_these() -> None:
    ours = {
        model
        for model in admin.site._registry
        if model._meta.app_label == "django_hookflow"
    }

    assert ours == set(MODELS)
