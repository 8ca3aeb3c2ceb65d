"""Run the engine on Temporal: a transport, and the worker that receives.

Set DJANGO_HOOKFLOW_TRANSPORT to "django_hookflow.contrib.temporal.
TemporalTransport", and start `manage.py run_temporal_worker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from django_hookflow.contrib.temporal.transport import TemporalTransport

__all__ = ["TemporalTransport"]


# Temporal's sandbox imports this package again for each execution, so it
# imports nothing until it is asked.
def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from django_hookflow.contrib.temporal import transport

    return getattr(transport, name)
