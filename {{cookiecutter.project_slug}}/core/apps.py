"""The project as an app: it has checks and a name, and counts requests."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.contrib import admin


class SiteConfig(AppConfig):
    name = "core"
    verbose_name = "Site"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import checks  # noqa: F401

        admin.site.site_header = f"{settings.SITE_NAME} administration"
        admin.site.site_title = f"{settings.SITE_NAME} admin"
