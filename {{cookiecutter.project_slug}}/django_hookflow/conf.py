"""Every setting of the engine with its type and default.

A setting is read at its first use, and again when a test overrides one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed


class Declared:
    """Settings: each annotated attribute of a subclass, with its default.

    A subclass declares names of its own: values are kept by name.
    """

    def __getattribute__(self, name: str) -> Any:
        if name not in _read:
            default = super().__getattribute__(name)
            value = getattr(django_settings, name, None)
            # os.environ.get() of a variable that is not set is None.
            _read[name] = default if value is None else value
        return _read[name]


class Settings(Declared):
    # The QStash console shows these four. QSTASH_URL may be the address of
    # the embedded server, the app qstash_server.
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

    # The class that sends deliveries, by dotted path.
    DJANGO_HOOKFLOW_TRANSPORT: str = (
        "django_hookflow.transports.qstash.QStashTransport"
    )
    # Seconds in which a delivery starts new steps; 0 runs one step in each.
    DJANGO_HOOKFLOW_DELIVERY_BUDGET: float = 20
    # Seconds until another delivery may take over a run whose worker died;
    # a living worker renews its lease three times as often.
    DJANGO_HOOKFLOW_LEASE: float = 30
    # Seconds a run may be overdue before the sweeper sends its message again.
    DJANGO_HOOKFLOW_SWEEP_AFTER: float = 60
    # Seconds after which a run that waits for an event without a time limit
    # is replayed anyway: a deploy may have changed the event it waits for.
    # 0 never does; then run "hookflow_sweep --waiting" after each deploy.
    DJANGO_HOOKFLOW_LOOK_AGAIN: float = 24 * 3600
    # Deliveries in a row that may die without an answer before the run fails.
    DJANGO_HOOKFLOW_MAX_CRASHES: int = 5
    # Seconds to wait for QStash when publishing; the sweeper tries again.
    DJANGO_HOOKFLOW_PUBLISH_TIMEOUT: float = 1
    # Days that ended runs, their steps and replayed dead letters are kept.
    DJANGO_HOOKFLOW_KEEP_DAYS: int = 30
    # Deliveries QStash makes at the same time to this site, by its flow
    # control; 0 leaves that to its plan.
    DJANGO_HOOKFLOW_PARALLELISM: int = 0
    # Attempts QStash makes after the first while this site is unreachable.
    DJANGO_HOOKFLOW_QSTASH_RETRIES: int = 3
    # Seconds QStash can delay a message: 7 days on its free plan.
    DJANGO_HOOKFLOW_MAX_DELAY: float = 7 * 24 * 3600
    # Send e-mail to the people whom a question is for.
    DJANGO_HOOKFLOW_QUESTION_EMAILS: bool = True
    # The page that answers a question, for its e-mail, such as
    # "https://shop.example.com/questions/{id}/"; empty sends no link.
    DJANGO_HOOKFLOW_QUESTION_URL: str = ""
    # Tracers of deliveries and steps: subclasses of Tracer by dotted path.
    DJANGO_HOOKFLOW_TRACERS: Sequence[str] = ()
    # Most bytes of a message that the webhook reads. Ours have some 200;
    # QStash's maximum is 10 MB on its paid plan (upstash.com/pricing, 2026).
    DJANGO_HOOKFLOW_MAX_BODY: int = 11_000_000
    # Most bytes of JSON of one value in the journal.
    DJANGO_HOOKFLOW_MAX_VALUE_BYTES: int = 5_000_000


# The smallest value of a number; 0 where it is not listed.
LEAST = {
    "DJANGO_HOOKFLOW_LEASE": 0.1,
    "DJANGO_HOOKFLOW_MAX_CRASHES": 1,
    "DJANGO_HOOKFLOW_PUBLISH_TIMEOUT": 0.01,
    "DJANGO_HOOKFLOW_MAX_DELAY": 1,
    "DJANGO_HOOKFLOW_MAX_BODY": 1,
    "DJANGO_HOOKFLOW_MAX_VALUE_BYTES": 1,
}
# The largest one, in seconds, bytes or times: what fits into a timedelta and
# into an integer of the database.
MOST = 2**31 - 1
MOST_OF = {"DJANGO_HOOKFLOW_KEEP_DAYS": 36_500}


def impossible() -> Iterator[tuple[str, Any, str]]:
    """Yield the settings that cannot be used: name, value, and expected."""
    for name, kind in Settings.__annotations__.items():
        value, wanted = getattr(conf, name), _wanted(name, kind)
        if not wanted.accepts(value):
            yield name, value, wanted.description


@dataclass(frozen=True, slots=True)
class Wanted:
    """The values that a setting accepts."""

    description: str
    accepts: Callable[[Any], bool]


def _wanted(name: str, kind: str) -> Wanted:
    if kind == "str":
        return Wanted("a text", lambda value: isinstance(value, str))
    if kind == "bool":
        return Wanted("True or False", lambda value: type(value) is bool)
    if kind == "Sequence[str]":
        return Wanted("a list of dotted paths", _is_texts)
    least, most = LEAST.get(name, 0), MOST_OF.get(name, MOST)
    types = (int,) if kind == "int" else (int, float)
    noun = "a whole number" if kind == "int" else "a number"
    return Wanted(
        f"{noun} from {least:,} to {most:,}",
        lambda value: type(value) in types and least <= value <= most,
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(one, str) for one in value
    )


def _read_again(**_: object) -> None:
    _read.clear()


_read: dict[str, Any] = {}
setting_changed.connect(_read_again)
conf = Settings()
