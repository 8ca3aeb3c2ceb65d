from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from django_hookflow.contrib.api.tests import flows
from django_hookflow.testing.world import World


@pytest.fixture(autouse=True)
def engine_database(transactional_db: None, workflows: None) -> None:
    """Empty the database after each test, and restore the registry."""
    flows.register()


@pytest.fixture(autouse=True)
def no_requests_yet(world: World) -> None:
    """Forget what throttles have counted."""
    cache.clear()


class Person(Client):
    """A browser of a user who is logged in."""

    user: User


@pytest.fixture
def login() -> Callable[..., Person]:
    """Return the browser of a user of this name; staff by keyword."""

    def log_in(name: str, *permissions: str, **values: Any) -> Person:
        user, _ = User.objects.get_or_create(username=name, defaults=values)
        names = [one.partition(".")[2] for one in permissions]
        user.user_permissions.set(
            Permission.objects.filter(codename__in=names)
        )
        person = Person()
        person.force_login(user)
        person.user = user
        return person

    return log_in


@pytest.fixture
def ada(login: Callable[..., Person]) -> Person:
    return login("ada")


@pytest.fixture
def bob(login: Callable[..., Person]) -> Person:
    return login("bob")


@pytest.fixture
def staff(login: Callable[..., Person]) -> Person:
    return login("staff", is_staff=True)
