"""The Django app: its models live in the project's database."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class QStashServerConfig(AppConfig):
    name = "qstash_server"
    label = "qstash_server"
    verbose_name = "embedded QStash server"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .checks import check_routes
        from .checks import check_settings

        register(check_settings)
        register(check_routes, deploy=True)
