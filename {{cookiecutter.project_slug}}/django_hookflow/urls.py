"""URLs to include at DJANGO_HOOKFLOW_WEBHOOK_PATH, such as "/hookflow/"."""

from __future__ import annotations

from django.urls import path

from django_hookflow.maintenance import maintenance_webhook
from django_hookflow.views import workflow_webhook

app_name = "django_hookflow"

urlpatterns = [
    path(
        "workflow/<str:workflow_id>/",
        workflow_webhook,
        name="workflow_webhook",
    ),
    path(
        "maintenance/<str:task>/",
        maintenance_webhook,
        name="maintenance_webhook",
    ),
]
