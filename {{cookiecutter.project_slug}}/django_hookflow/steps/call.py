"""`ctx.step.call`: an HTTP request whose answer is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from typing import ClassVar

from django_hookflow.http import Call
from django_hookflow.steps.base import Steps
from django_hookflow.steps.options import Options
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session

IDEMPOTENCY_KEY = "Idempotency-Key"


class CallStep(RunStep):
    """Sends a key that is the same at each attempt, unless one is given."""

    kind: ClassVar[str] = "call"
    takes: ClassVar[frozenset[str]] = frozenset(
        {"retry", "optional", "compensate"}
    )

    def __init__(
        self, session: Session, step_id: str, options: Options, call: Call
    ) -> None:
        key = session.idempotency_key(step_id)
        headers = dict(call.headers)
        if not any(
            name.lower() == IDEMPOTENCY_KEY.lower() for name in headers
        ):
            headers[IDEMPOTENCY_KEY] = key
        keyed = replace(call, headers=headers)
        super().__init__(session, step_id, options, keyed.perform)


class CallSteps(Steps):
    def call(
        self,
        step_id: str,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> dict[str, Any]:
        """Make an HTTP request: `{"status_code": int, "data": …}`.

        `data` is read by the Content-Type of the answer: JSON, text, else
        bytes, and None if it is empty. 5xx, 408, 425, 429 and lost
        connections are tried again, with the same Idempotency-Key; other
        statuses are returned. `timeout`: seconds, for the whole call.
        """
        call = Call(url, method, body, headers or {}, timeout)
        step = CallStep(self._session, step_id, self._options, call)
        answer: dict[str, Any] = step.outcome()
        return answer
