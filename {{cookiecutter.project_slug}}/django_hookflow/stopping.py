"""Whether this process was told to stop, and which exceptions stop it.

Told to stop, a delivery ends with the step under way and hands on the rest at
once, and the webhook takes no other one; otherwise the run would wait until
the lease of a killed process has ended.

`sys.exit()` and its like in the code of a workflow are failures of that code.
What stops the process is what a signal handler raises.
"""

from __future__ import annotations

import dis
import signal
import threading
from collections.abc import Iterator
from types import CodeType
from types import FrameType
from types import TracebackType

_was_told = False

# Exceptions by which a server ends what a thread of its does.
_let_pass: tuple[type[BaseException], ...] = ()


def tell(*, is_stopping: bool = True) -> None:
    """Say so; may be called in a signal handler, and taken back by tests."""
    global _was_told
    _was_told = is_stopping


def is_stopping() -> bool:
    return _was_told


def let_pass(kind: type[BaseException]) -> None:
    """Let exceptions of this class end the delivery and reach the server.

    For those that a server raises into the code it runs, for example
    greenlet.GreenletExit. A delivery that they end counts as a crash.
    """
    global _let_pass
    _let_pass = (*_let_pass, kind)


def stops(error: BaseException) -> bool:
    """Whether the process ends by this error, and not the author's code."""
    if isinstance(error, Exception):
        return False
    return isinstance(error, _let_pass) or _is_of_a_signal(error)


def _is_of_a_signal(error: BaseException) -> bool:
    """Whether a signal handler has raised it, in the main thread as all do.

    Then the handler is a frame of its traceback. Python's own for Ctrl-C is
    written in C and has none: its error comes up between two instructions,
    where the code has no `raise`.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    frames = list(_frames(error.__traceback__))
    if _handlers() & {frame.f_code for frame, _ in frames}:
        return True
    return isinstance(error, KeyboardInterrupt) and not _was_raised(frames)


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    """Each frame, and the place of its last instruction."""
    while trace is not None:
        yield trace.tb_frame, trace.tb_lasti
        trace = trace.tb_next


def _handlers() -> set[CodeType]:
    """The code of the signal handlers that are written in Python."""
    handlers = map(signal.getsignal, signal.valid_signals())
    codes = (getattr(handler, "__code__", None) for handler in handlers)
    return {code for code in codes if isinstance(code, CodeType)}


def _was_raised(frames: list[tuple[FrameType, int]]) -> bool:
    """Whether the innermost frame stands at a `raise`."""
    frame, last = frames[-1]
    name = dis.opname[frame.f_code.co_code[last]]
    return name in {"RAISE_VARARGS", "RERAISE"}
