from __future__ import annotations

import pytest

from django_hookflow.tests.http.shop.shop import Shop
from django_hookflow.tests.http.stack import Stack


@pytest.fixture
def kind() -> type[Stack]:
    return Shop
