"""`ctx.log`: its records appear once, however often a run is replayed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django_hookflow.steps.session import Session

if TYPE_CHECKING:
    Adapter = logging.LoggerAdapter[logging.Logger]
else:
    Adapter = logging.LoggerAdapter


class WorkflowLogger(Adapter):
    """Says nothing while the function is on its way to where it was before.

    What comes after the last recorded step is said again when the delivery
    that said it ended without recording another.
    """

    def __init__(self, workflow_id: str, session: Session) -> None:
        super().__init__(logging.getLogger(f"workflows.{workflow_id}"), {})
        self._session = session

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        if self._session.is_replaying:
            return False
        return super().isEnabledFor(level)
