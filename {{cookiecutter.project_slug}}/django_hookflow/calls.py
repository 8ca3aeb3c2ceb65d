"""Where the engine calls functions of authors, so that a test can look in."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import TypeAlias

Around: TypeAlias = Callable[[Callable[[], Any]], Any]

# Gets each function of a workflow, a branch or a step, and calls it in its
# place; None is nothing, and the engine calls it. tracing.current() says
# whose it is.
around: Around | None = None


@contextmanager
def through(replacement: Around) -> Iterator[None]:
    """Let `replacement` make the calls within the block."""
    global around
    previous, around = around, replacement
    try:
        yield
    finally:
        around = previous
