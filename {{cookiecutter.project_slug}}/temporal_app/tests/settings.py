# ruff: noqa: F403
"""Settings of a worker that a test starts as a process."""

from __future__ import annotations

import os

from config.settings.test import *

TEMPORAL_ADDRESS = os.environ["TEMPORAL_TESTS_ADDRESS"]
