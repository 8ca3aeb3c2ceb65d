"""The Django app of the pages over runs."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "django_hookflow.contrib.dashboard"
    label = "hookflow_dashboard"
    verbose_name = "Dashboard of runs"
