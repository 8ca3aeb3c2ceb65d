"""What gunicorn.conf.py takes from here.

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

# Asked for every few seconds by whoever watches the site.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def make_directory(variables: MutableMapping[str, str] = os.environ) -> None:
    """Have the directory there before the first count is written into it.

    Commands such as migrate count too, and may run before gunicorn does. An
    empty variable, as compose files set it, is one that is not set.
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
            "Name a directory that this user may write, or leave it out."
        ) from error


def share_metrics(variables: Mapping[str, str] = os.environ) -> None:
    """Give the workers one empty directory for what they count.

    That of PROMETHEUS_MULTIPROC_DIR, else a new one that goes with gunicorn.
    Without DJANGO_METRICS_TOKEN nothing is counted, and nothing made. Call it
    when gunicorn starts and not when it reads its file, as it does again at
    SIGHUP: what workers count in is emptied.
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
    # What processes before this one counted would be counted on.
    for file in path.glob("*.db"):
        file.unlink()


def child_exit(server: Any, worker: Any) -> None:
    """Forget the present values of a worker that is gone; counts stay."""
    if os.environ.get(DIRECTORY):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def logconfig(style: str | None) -> dict[str, Any]:
    """Gunicorn's own logs in the style of the site's: json, else line."""
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
    """Gives records of the access log what JSON can be searched by.

    `request_id`, `method`, `path`, `status` and `seconds`; probes that went
    well are left out.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        atoms = record.args
        if not isinstance(atoms, dict):
            return True
        status = int(str(atoms["s"]))
        if atoms["U"] in PROBES and status < 400:
            return False
        # A server's answer to what is no request has no such header.
        record.request_id = str(atoms.get("{x-request-id}o", ""))
        record.method = atoms["m"]
        record.path = atoms["U"]
        record.status = status
        record.seconds = float(str(atoms["L"]))
        return True


def _remove(directory: str, owner: int) -> None:
    # Workers are forks, and run what was registered before.
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
