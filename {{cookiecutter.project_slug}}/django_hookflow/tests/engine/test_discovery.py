"""Workflows in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from django.apps import apps
from django.conf import settings as django_settings


def test_a_fresh_process_knows_every_workflow() -> None:
    # This one may have imported them for other tests.
    script = """if True:
        import django
        django.setup()
        from django_hookflow.workflows.registry import get_all_workflows
        print(*(found.name for found in get_all_workflows().values()))"""

    known = subprocess.run(
        [sys.executable, "-c", script],
        cwd=django_settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.test"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()

    for app in apps.get_app_configs():
        spec = find_spec(f"{app.name}.workflows")
        if spec is None or spec.origin is None:
            continue
        # Others declare workflows of another engine.
        text = Path(spec.origin).read_text("utf-8")
        if "from django_hookflow import workflow\n" in text:
            assert any(name.startswith(f"{app.name}.") for name in known)
