"""`ctx.step.call`: an HTTP request whose answer is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from django_hookflow.http import Call
from django_hookflow.steps.base import Options
from django_hookflow.steps.run import RunStep
from django_hookflow.steps.session import Session

IDEMPOTENCY_KEY = "Idempotency-Key"


class CallStep(RunStep):
    """Sends a key that is the same at each attempt, unless one is given."""

    kind: ClassVar[str] = "call"
    takes: ClassVar[frozenset[str]] = frozenset({"retry", "optional"})

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
