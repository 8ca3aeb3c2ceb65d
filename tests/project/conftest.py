"""Tests of deployment, with the project in the template.

The Makefile's target test-project runs this folder with the project's
settings; a bake does not have it.
"""

from __future__ import annotations

pytest_plugins = ["django_hookflow.pytest_plugin", "conftest"]
