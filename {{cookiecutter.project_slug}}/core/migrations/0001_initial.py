"""The table of counted requests."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db import models


def unlog(apps: Any, schema_editor: Any) -> None:
    """Spare the counts PostgreSQL's write-ahead log."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE core_requestcount SET UNLOGGED")


class Migration(migrations.Migration):
    initial = True

    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="RequestCount",
            fields=[
                (
                    "key",
                    models.CharField(
                        max_length=64, primary_key=True, serialize=False
                    ),
                ),
                ("count", models.PositiveIntegerField()),
                ("ends_at", models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.RunPython(unlog, migrations.RunPython.noop),
    ]
