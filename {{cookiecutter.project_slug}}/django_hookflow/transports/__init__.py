"""What carries deliveries; the setting names one by its dotted path."""

from __future__ import annotations

from functools import lru_cache

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from django_hookflow.conf import conf
from django_hookflow.transports.base import Transport


def get_transport() -> Transport:
    """The transport of DJANGO_HOOKFLOW_TRANSPORT, one object per process."""
    return _transport(conf.DJANGO_HOOKFLOW_TRANSPORT)


@lru_cache(maxsize=1)
def _transport(dotted: str) -> Transport:
    kind: type[Transport] = import_string(dotted)
    return kind()


def _forget(**_: object) -> None:
    _transport.cache_clear()


setting_changed.connect(_forget)
