"""How gunicorn serves the site, wherever that is: `gunicorn config.wsgi`.

Reads PORT, WEB_CONCURRENCY (worker processes) and WEB_THREADS (in each of
them); options on the command line win.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from django_hookflow.contrib.observability import gunicorn as observed

bind = f"0.0.0.0:{os.environ.get('PORT') or 8000}"

# A delivery mostly waits for the database and for others, so threads carry
# it. Each may hold a connection to the database: 16, and 2 for heartbeats.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = int(os.environ.get("WEB_THREADS") or 8)

# Seconds without a sign of life from a worker. Its threads may take longer
# over a request: a delivery goes on for its budget, 20 seconds, and one step.
timeout = 60

# Seconds the requests under way have after SIGTERM. A delivery ends with the
# step it is at; whoever started gunicorn should wait for 5 seconds more.
graceful_timeout = 25

# Longer than a proxy keeps an idle connection, which would otherwise send a
# request into one that is being closed.
keepalive = 75

# Heartbeats of the workers are files; on a slow disk they would block.
if os.access("/dev/shm", os.W_OK):  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108

# Nobody steers it from outside, and the file system may be read-only.
control_socket_disable = True

# Its own logs in the style of the site's, with the id of each request, and
# one directory in which the workers count for /metrics.
logconfig_dict = observed.logconfig(os.environ.get("DJANGO_LOG_FORMAT"))
access_log_format = (
    '%(h)s "%(r)s" %(s)s %(b)s %(M)sms %({x-request-id}o)s "%(a)s"'
)
child_exit = observed.child_exit
observed.share_metrics()


def post_worker_init(worker: Any) -> None:
    """Tell the engine when this worker is told to stop."""
    from django_hookflow import stopping

    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.tell()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)
