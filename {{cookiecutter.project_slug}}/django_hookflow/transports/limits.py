"""A limit for the time that something takes, whatever it waits for."""

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

# Threads that may be left behind; they end when what they wait for does.
AT_ONCE = 32

_free = BoundedSemaphore(AT_ONCE)


def within(seconds: float, do: Callable[[], T]) -> T:
    """What `do` returns; TimeoutError when it takes longer than that.

    A client's own limit is one for each read: it never ends an answer that
    comes byte by byte, and knows nothing of the look-up of a name. So `do`
    runs in a thread, which is left to itself when the time is up.
    """
    if not _free.acquire(blocking=False):
        raise TimeoutError(f"{AT_ONCE} earlier ones still wait")
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
