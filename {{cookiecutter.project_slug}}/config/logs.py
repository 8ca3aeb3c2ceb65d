"""Log lines for people; those for machines are JSON."""

from __future__ import annotations

import logging

# Line breaks of ASCII and Unicode, and what moves a terminal's cursor.
CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
ESCAPED = {code: ascii(chr(code))[1:-1] for code in CONTROLS}


class LineFormatter(logging.Formatter):
    """One line for a message, whatever somebody has put into it.

    A traceback keeps its lines.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = record.message.translate(ESCAPED)
        return super().formatMessage(record)
