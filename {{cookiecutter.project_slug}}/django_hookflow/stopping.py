"""Whether this process was told to stop.

Then a delivery ends with the step under way and hands on the rest at once,
and the webhook takes no other one; otherwise the run would wait until the
lease of a killed process has ended.
"""

from __future__ import annotations

_was_told = False


def tell(*, is_stopping: bool = True) -> None:
    """Say so; may be called in a signal handler, and taken back by tests."""
    global _was_told
    _was_told = is_stopping


def is_stopping() -> bool:
    return _was_told
