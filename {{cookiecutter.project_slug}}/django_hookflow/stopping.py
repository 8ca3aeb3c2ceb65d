"""Know whether this process was told to stop, and which exceptions stop it.

When it was, a delivery ends after the current step and sends the next message
at once, and the webhook takes no other delivery. Otherwise a run would wait
until the lease of the killed process ends.

`sys.exit()` and the like in the code of a workflow are failures of that code.
Only exceptions that a signal handler raises stop the process.
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

# Exceptions with which a server ends the work of one of its threads.
_let_pass: tuple[type[BaseException], ...] = ()


def tell(*, is_stopping: bool = True) -> None:
    """Tell this process to stop; signal handlers may call it."""
    global _was_told
    _was_told = is_stopping


def is_stopping() -> bool:
    return _was_told


def let_pass(kind: type[BaseException]) -> None:
    """Let exceptions of this class end the delivery and reach the server.

    For those that a server raises in the code it runs, for example
    greenlet.GreenletExit. A delivery that ends so counts as a crash.
    """
    global _let_pass
    _let_pass = (*_let_pass, kind)


def stops(error: BaseException) -> bool:
    """True when this error ends the process, not only the author's code."""
    if isinstance(error, Exception):
        return False
    return isinstance(error, _let_pass) or _is_of_a_signal(error)


def _is_of_a_signal(error: BaseException) -> bool:
    """True when a signal handler raised it; they run in the main thread.

    Then the handler is a frame of its traceback. Python's own handler of
    Ctrl-C is written in C and has no frame: its error appears between two
    instructions, where the code has no `raise`.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    frames = list(_frames(error.__traceback__))
    if _handlers() & {frame.f_code for frame, _ in frames}:
        return True
    return isinstance(error, KeyboardInterrupt) and not _was_raised(frames)


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    """Yield each frame with the index of its last instruction."""
    while trace is not None:
        yield trace.tb_frame, trace.tb_lasti
        trace = trace.tb_next


def _handlers() -> set[CodeType]:
    """Return the code of the signal handlers that are written in Python."""
    handlers = map(signal.getsignal, signal.valid_signals())
    codes = (getattr(handler, "__code__", None) for handler in handlers)
    return {code for code in codes if isinstance(code, CodeType)}


def _was_raised(frames: list[tuple[FrameType, int]]) -> bool:
    """True when the innermost frame is at a `raise`."""
    frame, last = frames[-1]
    name = dis.opname[frame.f_code.co_code[last]]
    return name in {"RAISE_VARARGS", "RERAISE"}
