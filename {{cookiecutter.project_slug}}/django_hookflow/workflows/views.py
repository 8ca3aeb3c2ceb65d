"""A door for older imports: the webhook."""

from __future__ import annotations

from django_hookflow.views import workflow_webhook

__all__ = ["workflow_webhook"]
