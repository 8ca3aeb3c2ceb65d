"""Invalid settings of the QStash transport."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks

QSTASH = "django_hookflow.transports.qstash.QStashTransport"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QSTASH_URL", "localhost", "QSTASH_URL is 'localhost'"),
        ("QSTASH_TOKEN", " a", "QSTASH_TOKEN begins or ends with white"),
    ],
)
def test_an_impossible_value_of_qstash_is_found(
    settings: Any, name: str, value: str, said: str
) -> None:
    settings.DJANGO_HOOKFLOW_TRANSPORT = QSTASH
    setattr(settings, name, value)

    found = [message.msg for message in checks.run_checks(tags=["hookflow"])]

    assert len([text for text in found if text.startswith(said)]) == 1
