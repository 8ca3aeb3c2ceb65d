"""`ctx.log`: its records appear once, however often a run is replayed."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

from django_hookflow.steps.session import Session

if TYPE_CHECKING:
    Adapter = logging.LoggerAdapter[logging.Logger]
else:
    Adapter = logging.LoggerAdapter


class WorkflowLogger(Adapter):
    """Holds back what is said on the way to where the function was before.

    A recorded step drops what it said before it; a new step, or the end of
    the pass, tells it. What comes after the last recorded step is said again
    when the delivery that said it ended without recording another.
    """

    def __init__(self, workflow_id: str, session: Session) -> None:
        super().__init__(logging.getLogger(f"workflows.{workflow_id}"), {})
        self._session = session

    def log(
        self, level: int, msg: object, *args: object, **kwargs: Any
    ) -> None:
        if not self.isEnabledFor(level):
            return
        text, given = self.process(msg, kwargs)
        # The record names the line of the caller, not this one.
        given["stacklevel"] = given.get("stacklevel", 1) + 1
        logger = self.logger
        if self._session.is_replaying:
            logger = _Holding(logger, self._session)
        logger.log(level, text, *args, **given)


class _Holding(logging.Logger):
    """Makes the records of a logger, to be handled later or never."""

    def __init__(self, logger: logging.Logger, session: Session) -> None:
        super().__init__(logger.name)
        self._logger = logger
        self._session = session

    def handle(self, record: logging.LogRecord) -> None:
        self._session.held.append(partial(self._logger.handle, record))
