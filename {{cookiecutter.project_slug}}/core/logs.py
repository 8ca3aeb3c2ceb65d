"""Log lines for people; those for machines are JSON."""

from __future__ import annotations

import logging

from django.conf import settings

# Line breaks of ASCII and Unicode, and what moves a terminal's cursor.
CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
ESCAPED = {code: ascii(chr(code))[1:-1] for code in CONTROLS}


class LineFormatter(logging.Formatter):
    """Return one line for a message, whatever text a client put into it.

    A traceback keeps its lines.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = record.message.translate(ESCAPED)
        return super().formatMessage(record)


class RequestFilter(logging.Filter):
    """Keeps from runserver's lines what every page and every probe adds.

    An error stays, whatever was asked for.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", 500)
        return bool(status >= 400) or not is_routine(record.getMessage())


def is_routine(line: str) -> bool:
    """Return True for lines like '"GET /livez HTTP/1.1" 200 3'."""
    address = line.partition(" ")[2]
    return address.startswith((settings.STATIC_URL, "/livez", "/readyz"))
