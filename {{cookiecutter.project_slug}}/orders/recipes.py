"""Workflows to copy from, each of them around one thing that steps can do.

refund_order         a saga: what was done is undone when a step fails
approve_large_order  a question to people, and a run inside a run
onboard_customer     a day's wait that outlives deploys
nightly_report       a fan-out over many rows
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from django import forms
from django.conf import settings

from django_hookflow import RetryPolicy
from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import PermanentError
from django_hookflow.workflows.registry import get_workflow

from . import payments
from . import services

APPROVERS = "order approvers"
"""The group that is asked about large orders; create it in the admin."""
MANAGERS = "order managers"
"""The group that is asked when the first has not answered for two days."""


@workflow(workflow_id="sample-refund-order")
def refund_order(ctx: WorkflowContext) -> dict[str, str]:
    """Take the fulfilled order `ctx.data["order_id"]` back.

    When the provider does not pay back, the goods are ours no more, and the
    order is fulfilled again: the last step is undone first.
    """
    order_id = ctx.data["order_id"]
    rows = ctx.step.options(atomic=True)

    charge_id = rows.options(compensate=services.refuse_return).run(
        "begin-return", services.begin_return, order_id
    )
    rows.options(compensate=services.take_again).run(
        "restock", services.restock, order_id
    )
    answer = ctx.step.options(retry=RetryPolicy(retries=9, delay=1)).call(
        "refund",
        payments.refund_url(charge_id),
        method="POST",
        headers=payments.headers(),
    )
    if answer["status_code"] != HTTPStatus.OK:
        raise PermanentError(
            f"The provider did not refund charge {charge_id}: it answered "
            f"{answer['status_code']}."
        )
    rows.run("record-refund", services.record_refund, order_id)
    ctx.step.options(optional=True).run(
        "refund-mail", services.send_refund_note, order_id
    )
    return {"order_id": order_id, "status": "refunded"}


class Approval(forms.Form):
    """The form of an approver, which checks the answer."""

    approved = forms.BooleanField(required=False)
    note = forms.CharField(max_length=200, required=False)


@workflow(workflow_id="sample-approve-large-order")
def approve_large_order(ctx: WorkflowContext) -> dict[str, Any]:
    """Ask people about the order `ctx.data["order_id"]`, then process it."""
    order_id = ctx.data["order_id"]
    total = ctx.step.run("total", services.total_of, order_id)
    ctx.set(order=order_id)
    try:
        answer = ctx.step.ask(
            "approve",
            form=Approval,
            group=APPROVERS,
            title=f"Accept an order of {total} {settings.ORDERS_CURRENCY}?",
            description=f"Order {order_id}",
            timeout="4d",
            remind=["1d"],
            escalate=("2d", MANAGERS),
        )
        refusal = "" if answer.data["approved"] else answer.data["note"]
        is_approved = answer.data["approved"]
    except EventTimeout:
        is_approved, refusal = False, "It was not approved in time."
    if not is_approved:
        ctx.step.options(atomic=True).run(
            "reject", services.reject, order_id, refusal or "Not approved."
        )
        return {"order_id": order_id, "status": "cancelled"}
    process = get_workflow("sample-process-order")
    ended: dict[str, Any] = ctx.step.invoke(
        "process", process, {"order_id": order_id}
    )
    return ended


@workflow(workflow_id="sample-onboard-customer")
def onboard_customer(ctx: WorkflowContext) -> dict[str, str]:
    """Welcome the customer `ctx.data["email"]`, and write again a day later.

    No process waits meanwhile: the run is a row until its time has come.
    """
    email = ctx.data["email"]
    before = ctx.step.run("orders-before", services.orders_of, email)
    ctx.step.run(
        "welcome-mail",
        services.send_letter,
        email,
        "Welcome to our shop",
        "Thank you for joining us.",
    )
    ctx.step.sleep("a-day", "24h")
    since = ctx.step.run("orders-since", services.orders_of, email)
    text = "Look at what is new." if since == before else "Was all well?"
    ctx.step.run(
        "follow-up-mail",
        services.send_letter,
        email,
        "A day in our shop",
        text,
    )
    return {"email": email, "status": "completed"}


@workflow(workflow_id="sample-nightly-report")
def nightly_report(ctx: WorkflowContext) -> dict[str, str]:
    """Add up the orders of the last day, a few at a time, and mail the sum.

    Run it once a day: nightly_report.trigger(run_id=f"report-{date}") twice
    is one run.
    """
    since = ctx.now() - timedelta(days=1)
    order_ids = ctx.step.run("orders", services.fulfilled_since, since)
    totals = ctx.step.map(
        "totals", services.total_of, order_ids, max_parallel=5
    )
    total = str(sum(map(Decimal, totals), Decimal(0)))
    ctx.step.options(optional=True).run(
        "report-mail",
        services.send_letter,
        settings.SERVER_EMAIL,
        "Orders of the last day",
        f"{len(totals)} orders, {total} {settings.ORDERS_CURRENCY}",
    )
    return {"orders": str(len(totals)), "total": total}
