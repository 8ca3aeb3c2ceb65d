"""The Django app: its models live in the project's database."""

from __future__ import annotations

from django.apps import AppConfig


class QStashServerConfig(AppConfig):
    name = "django_hookflow.contrib.qstash_server"
    label = "qstash_server"
    verbose_name = "embedded QStash server"
    default_auto_field = "django.db.models.BigAutoField"
