from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

# The users and the database are those of the API's tests.
from django_hookflow.contrib.api.tests.conftest import ada as ada
from django_hookflow.contrib.api.tests.conftest import bob as bob
from django_hookflow.contrib.api.tests.conftest import (
    engine_database as engine_database,
)
from django_hookflow.contrib.api.tests.conftest import (
    no_requests_yet as no_requests_yet,
)
from django_hookflow.contrib.api.tests.conftest import staff as staff
from django_hookflow.contrib.api.tests.conftest import user_of


class Person(Client):
    """A browser of a user who is logged in."""

    user: User


@pytest.fixture
def login() -> Callable[..., Person]:
    """Return the browser of a user of this name; staff by keyword."""

    def log_in(name: str, *permissions: str, **values: Any) -> Person:
        person = Person()
        person.user = user_of(name, *permissions, **values)
        person.force_login(person.user)
        return person

    return log_in
