from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.test import APIClient

from django_hookflow.contrib.api.tests import flows
from django_hookflow.testing.world import World

V1 = "/api/hookflow/v1"


@pytest.fixture(autouse=True)
def engine_database(transactional_db: None, workflows: None) -> None:
    """Empty the database after each test, and restore the registry."""
    flows.register()


@pytest.fixture(autouse=True)
def no_requests_yet(world: World) -> None:
    """Forget what throttles have counted."""
    cache.clear()


def user_of(name: str, *permissions: str, **values: Any) -> User:
    """Return the user of a name, with these permissions and no others."""
    user, _ = User.objects.get_or_create(username=name, defaults=values)
    names = [one.partition(".")[2] for one in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


@pytest.fixture
def login() -> Callable[..., APIClient]:
    """Return a client of a user of this name; staff by keyword."""

    def log_in(name: str, *permissions: str, **values: Any) -> APIClient:
        client = APIClient()
        client.user = user_of(name, *permissions, **values)
        client.force_login(client.user)
        return client

    return log_in


@pytest.fixture
def ada(login: Callable[..., APIClient]) -> APIClient:
    return login("ada")


@pytest.fixture
def bob(login: Callable[..., APIClient]) -> APIClient:
    return login("bob")


@pytest.fixture
def staff(login: Callable[..., APIClient]) -> APIClient:
    return login("staff", is_staff=True)
