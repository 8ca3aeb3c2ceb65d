"""`ctx.step.call`: an HTTP request whose answer is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from typing import ClassVar

from django_hookflow.http import Call
from django_hookflow.http import TimedOut
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import Options
from django_hookflow.steps.run import SECOND
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session

IDEMPOTENCY_KEY = "Idempotency-Key"
DEFAULT_SECONDS = 30


class CallStep(RunStep):
    """Sends a key that is the same at each attempt, unless one is given."""

    kind: ClassVar[str] = "call"
    takes: ClassVar[frozenset[str]] = frozenset(
        {"retry", "timeout", "optional", "at_most_once", "compensate"}
    )

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        call: Call,
        seconds: float | None,
    ) -> None:
        super().__init__(session, step_id, options, self.perform)
        self.call = call
        self.seconds = seconds

    def perform(self) -> dict[str, Any]:
        """Make the request; the shorter of its two timeouts ends it."""
        limit, seconds = self.options.limit / SECOND, self.seconds
        is_limited = limit > 0 and (seconds is None or limit <= seconds)
        if seconds is None or is_limited:
            seconds = limit or DEFAULT_SECONDS
        call = replace(self.call, headers=self.headers(), timeout=seconds)
        try:
            return call.perform()
        except TimedOut as error:
            if not is_limited:
                raise
            raise self.overdue(str(error)) from error

    def headers(self) -> dict[str, str]:
        headers = dict(self.call.headers)
        if not any(
            name.lower() == IDEMPOTENCY_KEY.lower() for name in headers
        ):
            key = self.session.idempotency_key(self.step_id)
            headers[IDEMPOTENCY_KEY] = key
        return headers


class CallSteps(Steps):
    def call(
        self,
        step_id: str,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Make an HTTP request: `{"status_code": int, "data": …}`.

        `data` is read by the Content-Type of the answer: JSON, text, else
        bytes, and None if it is empty. 5xx, 408, 425, 429 and lost
        connections are tried again, with the same Idempotency-Key; other
        statuses are returned. `timeout`: seconds, for the whole call; 30, or
        those of options(timeout=), which raise StepTimeout.
        """
        call = Call(url, method, body, headers or {})
        step = CallStep(self._session, step_id, self._options, call, timeout)
        answer: dict[str, Any] = step.outcome()
        return answer
