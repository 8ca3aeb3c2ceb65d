from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from core.health import HealthMiddleware


@pytest.mark.django_db(transaction=True)
def test_a_site_whose_temporal_is_away_is_degraded(settings: Any) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = (
        "django_hookflow.contrib.temporal.TemporalTransport"
    )
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    health = HealthMiddleware(lambda _: HttpResponse())

    answer = health(RequestFactory().get("/readyz?all"))

    assert answer.status_code == 503
    found = json.loads(answer.content)["checks"]["transport"]
    assert found["problem"].startswith("Temporal cannot be used (")
