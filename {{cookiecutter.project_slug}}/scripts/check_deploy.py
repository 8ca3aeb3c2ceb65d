#!/usr/bin/env python3
"""Run `check --deploy` with variables like those of a deployed site.

    python scripts/check_deploy.py

A warning counts as a failure. Nothing is connected to.
"""

from __future__ import annotations

import os
import sys

from addresses import PROJECT
from setup_env import fresh_secrets

DEPLOYED = {
    "DJANGO_ENV_FILE": os.devnull,
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "DJANGO_ALLOWED_HOSTS": "shop.example.com",
    "DJANGO_HOOKFLOW_DOMAIN": "https://shop.example.com",
    "DJANGO_EMAIL_URL": "submission://shop:password@mail.example.com",
    "DATABASE_URL": "postgres://shop@database.example.com/shop",
    "QSTASH_URL": "https://qstash.upstash.io",
    "PAYMENTS_URL": "https://payments.example.com",  # sample
}

if __name__ == "__main__":
    os.chdir(PROJECT)
    os.execve(
        sys.executable,
        [sys.executable, "manage.py", "check", "--deploy",
         "--fail-level", "WARNING"],
        os.environ | fresh_secrets() | DEPLOYED,
    )  # fmt: skip
