"""A workflow of three deliveries, and one that fails."""

from __future__ import annotations

import logging

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import RetryableError
from django_hookflow.models import WorkflowRun

logger = logging.getLogger("observed")


@workflow
def three_deliveries(ctx: WorkflowContext) -> None:
    """Rest twice."""
    ctx.log.info("set out")
    ctx.step.run("count", count)
    ctx.step.sleep("first", 0.1)
    ctx.step.sleep("second", 0.1)
    ctx.log.info("arrived")


@workflow(retry=RetryPolicy(retries=2, delay=0.1, factor=1))
def failing(ctx: WorkflowContext) -> None:
    """Fail after three attempts."""
    ctx.step.run("charge", charge)


def count() -> int:
    logger.info("counting")
    return WorkflowRun.objects.count()


def charge() -> None:
    raise RetryableError("the bank is closed")
