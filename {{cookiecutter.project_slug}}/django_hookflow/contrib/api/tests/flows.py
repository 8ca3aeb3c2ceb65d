"""Workflows that the tests of the API start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.exceptions import PermanentError


class ApprovalForm(forms.Form):
    approved = forms.BooleanField(required=False)
    reason = forms.CharField(max_length=20)


@dataclass
class Parcel:
    order: int
    fragile: bool = False


def refuse() -> None:
    raise PermanentError("the card was refused")


def register() -> None:
    """Declare them, in a registry that each test restores."""

    @workflow(workflow_id="api-sum")
    def add(ctx: WorkflowContext) -> Any:
        ctx.set(order=ctx.data.get("order"))
        ctx.step.run("one", int, 1)
        return {"sum": ctx.step.run("two", sum, ctx.data.get("all", []))}

    @workflow(workflow_id="api-nap")
    def nap(ctx: WorkflowContext) -> Any:
        ctx.step.run("secret", str, "s3cret")
        ctx.step.sleep("nap", "1d")

    @workflow(workflow_id="api-paid")
    def paid(ctx: WorkflowContext) -> Any:
        return ctx.step.wait_for_event("payment", "paid")

    @workflow(workflow_id="api-ask")
    def ask(ctx: WorkflowContext) -> Any:
        answer = ctx.step.ask(
            "approve",
            form=ApprovalForm,
            to=ctx.data.get("to", ctx.owner),
            title="Approve it?",
        )
        return answer.data

    @workflow(workflow_id="api-fail")
    def fail(ctx: WorkflowContext) -> Any:
        ctx.set(order=ctx.data.get("order"))
        ctx.step.run("first", str, "done")
        ctx.step.run("charge", refuse)

    @workflow(workflow_id="api-parcel", input=Parcel)
    def parcel(ctx: WorkflowContext) -> Any:
        return ctx.data.order

    @workflow(workflow_id="api-parent")
    def parent(ctx: WorkflowContext) -> Any:
        return ctx.step.invoke("child", nap)
