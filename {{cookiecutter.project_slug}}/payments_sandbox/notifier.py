"""The thread of the site that notifies callers."""

from __future__ import annotations

import logging
import threading
from typing import Any

from django.db import connection
from django.utils import timezone

from .notifications import next_due
from .notifications import send_due

logger = logging.getLogger(__name__)

IDLE = 10.0  # seconds between looks at charges made by other processes
AFTER_ERROR = 5.0


class Notifier:
    """Starts with the site's first request and sleeps until work is due."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken = threading.Event()
        self._stopping = False

    def start(self, **signal: Any) -> None:
        """Run from now on; a second call changes nothing."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="payments-sandbox", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Finish what is being sent, and end the thread."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join()

    def wake(self) -> None:
        """Look again: the plan has changed."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping:
            pause = self._work()
            self._woken.wait(pause)
            self._woken.clear()

    def _work(self) -> float:
        """Send what is due; return the seconds until the next look."""
        try:
            send_due()
            return seconds_until_next()
        except Exception:
            # Keep the thread alive: the rows are still due.
            logger.exception("The sandbox could not notify; it tries again.")
            return AFTER_ERROR
        finally:
            # No connection is kept while there is nothing to do.
            connection.close()


def seconds_until_next() -> float:
    due = next_due()
    if due is None:
        return IDLE
    left = (due - timezone.now()).total_seconds()
    return min(max(left, 0.0), IDLE)


notifier = Notifier()
