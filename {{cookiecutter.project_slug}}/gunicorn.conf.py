"""The configuration of `gunicorn config.wsgi`.

Reads PORT, WEB_CONCURRENCY (worker processes) and WEB_THREADS (in each of
them); options on the command line win. As for the site, a variable may stand
in the file of DJANGO_ENV_FILE.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from dotenv import dotenv_values  # comes with environs

from django_hookflow.contrib.observability import gunicorn as observed

# Not put into the environment, where a changed file would lose to it.
env_file = os.environ.get("DJANGO_ENV_FILE", Path(__file__).with_name(".env"))
variables = {
    name: value or "" for name, value in dotenv_values(env_file).items()
} | dict(os.environ)

bind = f"0.0.0.0:{variables.get('PORT') or 8000}"

# A delivery mostly waits for the database and for others, so threads carry
# it. Each may hold a connection to the database: 16, and 2 for heartbeats.
worker_class = "gthread"
workers = int(variables.get("WEB_CONCURRENCY") or 2)
threads = int(variables.get("WEB_THREADS") or 8)

# Seconds without a sign of life from a worker. Its threads may take longer
# over a request: a delivery takes its budget, 20 seconds, and one step.
timeout = 60

# Seconds the requests under way have after SIGTERM. A delivery ends with the
# step it is at; its supervisor should wait 5 seconds longer.
graceful_timeout = 25

# Longer than a proxy keeps an idle connection, which would otherwise send a
# request into one that is being closed: Caddy and nginx 60 seconds, Heroku's
# router 90, Caddy left to itself 120. An idle one holds no thread.
keepalive = 130

# Heartbeats of the workers are files; on a slow disk they would block.
if os.access("/dev/shm", os.W_OK):  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108

# There is no control from outside, and the file system may be read-only.
control_socket_disable = True

# Its own logs in the style of the site's, with the id of each request.
logconfig_dict = observed.logconfig(variables.get("DJANGO_LOG_FORMAT"))
access_log_format = (
    '%(h)s "%(r)s" %(s)s %(b)s %(M)sms %({x-request-id}o)s "%(a)s"'
)
child_exit = observed.child_exit


def on_starting(server: Any) -> None:
    """Make the directory in which all workers count for /metrics."""
    observed.share_metrics(variables)


def post_worker_init(worker: Any) -> None:
    """Notify the engine when this worker receives a stop signal."""
    from django_hookflow import stopping

    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.tell()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)
