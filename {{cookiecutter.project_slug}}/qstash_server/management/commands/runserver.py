"""`runserver`, with the embedded QStash server when QSTASH_URL means it.

Django takes a command from the first app that has it, so this app must
stand before django.contrib.staticfiles in INSTALLED_APPS.
"""

from __future__ import annotations

import atexit
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles.management.commands import runserver
from django.db import DatabaseError

from ...errors import ConfigurationError
from ...guard import is_loopback_name
from ...server import Server


class Command(runserver.Command):
    """Django's command, which also runs the server."""

    def inner_run(self, *args: Any, **options: Any) -> None:
        """Serve both; with the autoreloader this runs in its child only."""
        server = self._qstash_server()
        try:
            super().inner_run(*args, **options)
        finally:
            if server is not None:
                atexit.unregister(server.stop)
                server.stop()

    def _qstash_server(self) -> Server | None:
        address = embedded_address(getattr(settings, "QSTASH_URL", ""))
        if address is None:
            return None
        host, port = address
        try:
            server = Server(host=host, port=port).start()
        except OSError:
            self._say(f"Something else serves {settings.QSTASH_URL}.")
            return None
        except (ConfigurationError, DatabaseError) as error:
            self.stderr.write(
                self.style.ERROR(
                    f"The embedded QStash server did not start: {error}"
                )
            )
            return None
        # The autoreloader ends the process without ending this thread.
        atexit.register(server.stop)
        self._say(f"The embedded QStash server listens at {server.url}.")
        return server

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def embedded_address(url: str) -> tuple[str, int] | None:
    """Return the address in `url` if it is HTTP on this machine, or None."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or not is_loopback_name(host):
        return None
    listen_on = host if host[:1].isdigit() or ":" in host else "127.0.0.1"
    return listen_on, parts.port or 80
