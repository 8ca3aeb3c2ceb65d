"""Every setting of the engine with its type and default.

Read when first asked for, and again when a test overrides one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed


class Settings:
    # The QStash console shows these four. QSTASH_URL may name the embedded
    # server of contrib.qstash_server.
    QSTASH_URL: str = "https://qstash.upstash.io"
    QSTASH_TOKEN: str = ""
    QSTASH_CURRENT_SIGNING_KEY: str = ""
    QSTASH_NEXT_SIGNING_KEY: str = ""

    # Where QStash reaches this site, such as "https://shop.example.com".
    DJANGO_HOOKFLOW_DOMAIN: str = ""
    # Where urls.py includes django_hookflow.urls; a check compares.
    DJANGO_HOOKFLOW_WEBHOOK_PATH: str = "/hookflow/"
    # Accepted for older projects; state always lives in the database.
    DJANGO_HOOKFLOW_PERSISTENCE_ENABLED: bool = True

    # The class that carries deliveries, by dotted path.
    DJANGO_HOOKFLOW_TRANSPORT: str = (
        "django_hookflow.transports.qstash.QStashTransport"
    )
    # Seconds one delivery goes on with new steps; 0 runs one step in each.
    DJANGO_HOOKFLOW_DELIVERY_BUDGET: float = 20
    # Seconds until another delivery may take over a run whose worker is
    # silent; a worker that lives renews it three times as often.
    DJANGO_HOOKFLOW_LEASE: float = 30
    # Seconds an open run may be overdue before the sweeper rings again.
    DJANGO_HOOKFLOW_SWEEP_AFTER: float = 60
    # Deliveries in a row that may die silently before the run is failed.
    DJANGO_HOOKFLOW_MAX_CRASHES: int = 5
    # Seconds to wait for QStash when publishing; the sweeper sends the rest.
    DJANGO_HOOKFLOW_PUBLISH_TIMEOUT: float = 1
    # Days that ended runs, their steps and replayed dead letters are kept.
    DJANGO_HOOKFLOW_KEEP_DAYS: int = 30
    # Attempts QStash makes beyond the first while this site is away.
    DJANGO_HOOKFLOW_QSTASH_RETRIES: int = 3
    # Seconds QStash can hold a message back: 7 days on its free plan.
    DJANGO_HOOKFLOW_MAX_DELAY: float = 7 * 24 * 3600
    # Who watches deliveries and steps: classes of Tracer by dotted path.
    DJANGO_HOOKFLOW_TRACERS: Sequence[str] = ()
    # Bytes of a message the webhook reads. Ours have some 200; QStash's own
    # maximum is 10 MB where one pays as one goes (upstash.com/pricing, 2026).
    DJANGO_HOOKFLOW_MAX_BODY: int = 11_000_000
    # Bytes of JSON one value in the journal may take.
    DJANGO_HOOKFLOW_MAX_VALUE_BYTES: int = 5_000_000

    def __getattribute__(self, name: str) -> Any:
        if name not in _read:
            default = super().__getattribute__(name)
            _read[name] = getattr(django_settings, name, default)
        return _read[name]


def _read_again(**_: object) -> None:
    _read.clear()


_read: dict[str, Any] = {}
setting_changed.connect(_read_again)
conf = Settings()
