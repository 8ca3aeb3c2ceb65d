"""The Django app of the engine."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class HookflowConfig(AppConfig):
    name = "django_hookflow"
    verbose_name = "Workflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_hookflow import checks  # noqa: F401
        from django_hookflow import logs  # noqa: F401
        from django_hookflow import mails  # noqa: F401

        # Every process knows every workflow, whichever modules it imports.
        autodiscover_modules("workflows")
