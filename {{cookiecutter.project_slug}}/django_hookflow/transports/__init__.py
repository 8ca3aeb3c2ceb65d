"""Transports carry deliveries; a setting names one by its dotted path."""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from django_hookflow.conf import conf
from django_hookflow.transports.base import Transport


def get_transport() -> Transport:
    """Return the transport of DJANGO_HOOKFLOW_TRANSPORT.

    There is one object for each dotted path in a process: a transport may
    keep connections, and reads its settings whenever it uses them.
    """
    return _transport(conf.DJANGO_HOOKFLOW_TRANSPORT)


@cache
def _transport(dotted: str) -> Transport:
    kind: type[Transport] = import_string(dotted)
    return kind()
