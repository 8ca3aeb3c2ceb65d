"""A time limit for a function, whatever it waits for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait
from contextvars import copy_context
from functools import partial
from threading import BoundedSemaphore
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

# Threads that may still run when their time is up.
MAX_THREADS = 32

_free = BoundedSemaphore(MAX_THREADS)


def within(seconds: float, do: Callable[[], T]) -> T:
    """Return the result of `do`, or raise TimeoutError after some seconds.

    A client's own limit is for each read: it never ends an answer that comes
    byte by byte, and does not include the look-up of a name. So `do` runs in
    a thread, which is abandoned when the time is up.
    """
    if not _free.acquire(blocking=False):
        raise TimeoutError(f"{MAX_THREADS} earlier calls still wait")
    done: Future[T] = Future()
    job = partial(copy_context().run, _do, do, done)
    Thread(target=job, name="hookflow-within", daemon=True).start()
    if not wait([done], seconds).done:
        raise TimeoutError(f"timed out after {seconds:g} s")
    return done.result()


def _do(do: Callable[[], T], done: Future[T]) -> None:
    try:
        done.set_result(do())
    except BaseException as error:
        done.set_exception(error)
    finally:
        _free.release()
