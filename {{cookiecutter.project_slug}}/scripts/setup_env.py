#!/usr/bin/env python3
"""Write .env with fresh secrets, unless there is one.

    python scripts/setup_env.py

It is .env.example with its empty secrets filled in, readable by you only.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def fresh_secrets() -> dict[str, str]:
    """Return a new value for each secret variable."""
    return {
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
        "QSTASH_TOKEN": secrets.token_urlsafe(32),
        "QSTASH_CURRENT_SIGNING_KEY": f"sig_{secrets.token_urlsafe(24)}",
        "QSTASH_NEXT_SIGNING_KEY": f"sig_{secrets.token_urlsafe(24)}",
        "PAYMENTS_API_KEY": secrets.token_urlsafe(24),  # sample
        "PAYMENTS_WEBHOOK_SECRET": secrets.token_urlsafe(24),  # sample
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
    }


def filled(example: str, values: Mapping[str, str]) -> str:
    """Return the text of .env.example with `values` where it has none."""
    return re.sub(
        r"^(\w+)=$",
        lambda line: f"{line[1]}={values.get(line[1], '')}",
        example,
        flags=re.MULTILINE,
    )


def setup_env(project: Path = PROJECT) -> bool:
    """Write the project's .env unless there is one; return True if so."""
    example = (project / ".env.example").read_text(encoding="utf-8")
    try:
        # O_EXCL: of two that start together, one writes and one leaves it.
        handle = os.open(
            project / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
        )
    except FileExistsError:
        return False
    with open(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(filled(example, fresh_secrets()))
    return True


if __name__ == "__main__":
    if setup_env():
        sys.stdout.write("Wrote .env with fresh secrets; git ignores it.\n")
