"""Help for the tests of a project that has workflows."""

from __future__ import annotations

from django_hookflow.testing.kit import Hookflow
from django_hookflow.testing.kit import Run
from django_hookflow.testing.world import EPOCH
from django_hookflow.testing.world import World

__all__ = ["EPOCH", "Hookflow", "Run", "World"]
