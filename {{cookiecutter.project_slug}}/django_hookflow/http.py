"""The only place that speaks to httpx, so that it can be replaced here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from django_hookflow import clock
from django_hookflow.exceptions import PermanentError
from django_hookflow.exceptions import RetryableError

# Statuses that ask to be tried again; 5xx are too.
TRY_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make."""

    url: str
    method: str
    body: Any  # dict or list goes as JSON, text and bytes as they are
    headers: Mapping[str, str]
    timeout: float  # seconds

    def perform(self) -> dict[str, Any]:
        """`{"status_code": int, "data": JSON, text or None}`.

        Raises RetryableError for a status that asks to be tried again,
        httpx.TransportError when there is no answer, and PermanentError when
        there is one that nobody can read.
        """
        with httpx.stream(
            self.method,
            self.url,
            headers=dict(self.headers),
            timeout=self.timeout,
            **self._content(),
        ) as response:
            return self._answer(response)

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        """The status decides before the body is read, which may fail."""
        status = response.status_code
        said = f"{self.method} {self.url} answered {status}"
        if is_retryable_status(status):
            after = _retry_after(response.headers)
            raise RetryableError(said, retry_after=after)
        try:
            response.read()
        # It was heard: the same again would be done twice.
        except httpx.DecodingError as error:
            raise PermanentError(
                f"{said}, and its body is not in the encoding it names: "
                f"{error}. Ask its provider; it is not asked again."
            ) from error
        return {"status_code": status, "data": _data(response)}

    def _content(self) -> dict[str, Any]:
        if self.body is None:
            return {}
        if isinstance(self.body, str | bytes):
            return {"content": self.body}
        return {"json": self.body}


def is_retryable_status(status: int) -> bool:
    """Whether the same request may be answered better later."""
    return status >= 500 or status in TRY_AGAIN


def _data(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):  # no JSON, or a thousand levels of it
        return response.text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds: the header holds them, or a date. None if it holds neither."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        return max(0.0, (until - clock.now()).total_seconds())
    except (ValueError, TypeError):
        return None
