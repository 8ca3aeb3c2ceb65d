"""The settings of the sandbox; config/settings/base.py includes them."""

from __future__ import annotations

PAYMENTS_SANDBOX_SECONDS: float = 1
"""Seconds that a charge takes."""

PAYMENTS_SANDBOX_SLOW_SECONDS: float = 20
"""Seconds that it takes with the slow card."""
