"""Hooks and settings for gunicorn.conf.py.

    from django_hookflow.contrib.observability import gunicorn as observed

    child_exit = observed.child_exit
    logconfig_dict = observed.logconfig(os.environ.get("DJANGO_LOG_FORMAT"))

    def on_starting(server):
        observed.share_metrics()

Nothing of Django is set up in gunicorn's own process.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from django_hookflow.contrib.observability import logs

# Requested every few seconds by the tools that watch the site.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def make_directory(variables: MutableMapping[str, str] = os.environ) -> None:
    """Make the directory before the first count is written into it.

    Commands such as migrate count too, and may run before gunicorn does. An
    empty variable, as compose files set it, counts as not set.
    """
    directory = variables.get(DIRECTORY)
    if not directory:
        variables.pop(DIRECTORY, None)
        return
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{DIRECTORY} is {directory!r}, which cannot be made: {error}. "
            "Name a directory that this user may write to, or leave it out."
        ) from error


def share_metrics(variables: Mapping[str, str] = os.environ) -> None:
    """Give the workers one empty directory for their counts.

    It is PROMETHEUS_MULTIPROC_DIR, else a new one that is deleted with
    gunicorn. Without DJANGO_METRICS_TOKEN nothing is counted or made. Call it
    when gunicorn starts, not when it reads its file, as it does again at
    SIGHUP: the directory is emptied.
    """
    if not variables.get("DJANGO_METRICS_TOKEN"):
        return
    directory = variables.get(DIRECTORY)
    if not directory:
        directory = tempfile.mkdtemp(prefix="metrics-")
        atexit.register(_remove, directory, os.getpid())
    os.environ[DIRECTORY] = directory  # where prometheus_client looks
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    # Else the counts of earlier processes would go on.
    for file in path.glob("*.db"):
        file.unlink()


def child_exit(server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that ended; its counts stay."""
    if os.environ.get(DIRECTORY):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def logconfig(style: str | None) -> dict[str, Any]:
    """Return the settings of gunicorn's logs; `style`: "json" or "line"."""
    logger = {"handlers": ["console"], "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"access": {"()": f"{__name__}.AccessFilter"}},
        "formatters": {
            "line": {
                "format": "{asctime} {levelname} {name}: {message}",
                "style": "{",
            },
            "json": {"()": f"{logs.__name__}.JsonFormatter"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": style or "json",
            }
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            "gunicorn.error": logger,
            "gunicorn.access": logger | {"filters": ["access"]},
        },
    }


class AccessFilter(logging.Filter):
    """Adds searchable fields to records of the access log.

    `request_id`, `method`, `path`, `status` and `seconds`. Successful probes
    are left out.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        atoms = record.args
        if not isinstance(atoms, dict):
            return True
        status = int(str(atoms["s"]))
        if atoms["U"] in PROBES and status < 400:
            return False
        # The answer to an invalid request has no such header.
        record.request_id = str(atoms.get("{x-request-id}o", ""))
        record.method = atoms["m"]
        record.path = atoms["U"]
        record.status = status
        record.seconds = float(str(atoms["L"]))
        return True


def _remove(directory: str, owner: int) -> None:
    # Workers are forks, and run this too.
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
