"""The engine's log lines: one receiver for each of its signals."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from django.dispatch import receiver

from django_hookflow import signals
from django_hookflow.exceptions import TransportError
from django_hookflow.exceptions import WorkflowError
from django_hookflow.models import Question
from django_hookflow.signals import Entry
from django_hookflow.signals import Verdict
from django_hookflow.states import StepStatus

logger = logging.getLogger("django_hookflow")
# Sentry gets the failures of runs from their tracer; this is of no run's code.
webhook = logging.getLogger("django_hookflow.webhook")


@receiver(signals.run_triggered)
def _triggered(workflow_id: str, run_id: str, **_: Any) -> None:
    logger.info(
        "%s %s triggered",
        workflow_id,
        run_id,
        extra=_ids(workflow_id, run_id),
    )


@receiver(signals.question_asked)
def _question_asked(
    workflow_id: str, run_id: str, question: Question, **_: Any
) -> None:
    logger.info("%s %s asks %s", workflow_id, run_id, question.step_id)


@receiver(signals.question_due)
def _question_due(
    workflow_id: str, run_id: str, question: Question, **_: Any
) -> None:
    logger.info("%s %s asks %s again", workflow_id, run_id, question.step_id)


@receiver(signals.run_claimed)
def _claimed(workflow_id: str, run_id: str, delivery: int, **_: Any) -> None:
    logger.debug("%s %s delivery %d", workflow_id, run_id, delivery)


@receiver(signals.step_recorded)
def _recorded(workflow_id: str, run_id: str, entry: Entry, **_: Any) -> None:
    if entry.status == StepStatus.FAILED:
        logger.warning("%s %s: %s", workflow_id, run_id, entry.error())
    else:
        logger.debug("%s %s step %s", workflow_id, run_id, entry.step_id)


@receiver(signals.run_committed)
def _committed(
    workflow_id: str,
    run_id: str,
    verdict: Verdict,
    error: BaseException | None,
    **_: Any,
) -> None:
    failure = verdict.failure
    if failure is None:
        logger.info("%s %s %s", workflow_id, run_id, verdict.status)
        return
    # An attempt that is followed by another is a line, the last one a stack.
    is_last = verdict.is_failure
    logger.log(
        logging.ERROR if is_last else logging.WARNING,
        "%s %s %s: %s: %s",
        workflow_id,
        run_id,
        verdict.status,
        failure.type,
        failure.message,
        exc_info=_printable(_raised(error)) if is_last else None,
    )


@receiver(signals.run_parked)
def _parked(
    workflow_id: str, run_id: str, error: Exception, is_news: bool, **_: Any
) -> None:
    webhook.log(
        logging.ERROR if is_news else logging.WARNING,
        "%s %s waits for its code: %s",
        workflow_id,
        run_id,
        error,
        extra=_ids(workflow_id, run_id),
    )


@receiver(signals.send_failed)
def _send_failed(
    workflow_id: str, run_id: str, error: TransportError, **_: Any
) -> None:
    logger.warning(
        "%s %s: %s. The sweeper will send it.",
        workflow_id,
        run_id,
        error,
        extra=_ids(workflow_id, run_id),
    )


@receiver(signals.run_swept)
def _swept(workflow_id: str, run_id: str, **_: Any) -> None:
    logger.warning(
        "%s %s was overdue; sent its message again",
        workflow_id,
        run_id,
        extra=_ids(workflow_id, run_id),
    )


def _raised(error: BaseException | None) -> BaseException | None:
    """Return the error of the step, if the run failed because of one.

    Its stack is that of the step's function. The workflow's stack would show
    the line with the arguments, which may be addresses with keys in them.
    """
    if isinstance(error, WorkflowError) and error.__cause__ is not None:
        return error.__cause__
    return error


def _printable(error: BaseException | None) -> BaseException | None:
    """Return `error`, unless its traceback cannot be encoded for a log."""
    try:
        "".join(traceback.format_exception(error)).encode()
    except UnicodeEncodeError:
        return None
    return error


def _ids(workflow_id: str, run_id: str) -> dict[str, str]:
    """Return the ids for a record outside of deliveries."""
    return {"workflow_id": workflow_id, "run_id": run_id}
