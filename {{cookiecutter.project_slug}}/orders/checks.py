"""Settings of the shop that cannot work, found by `manage.py check`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Error
from django.core.checks import register

from django_hookflow.addresses import cure_for
from django_hookflow.addresses import problem_of
from django_hookflow.strength import weakness

# What a provider chooses may be shorter than a key of ours.
SECRET_LENGTH = 20
SECRETS = ("PAYMENTS_API_KEY", "PAYMENTS_WEBHOOK_SECRET")


@register("orders")
def check_provider(**_: Any) -> list[CheckMessage]:
    problem = problem_of(settings.PAYMENTS_URL)
    if not problem:
        return []
    return [
        Error(
            f"PAYMENTS_URL is {settings.PAYMENTS_URL!r}, {problem}.",
            hint=cure_for(settings.PAYMENTS_URL),
            id="orders.E001",
        )
    ]


@register("orders")
def check_secrets(**_: Any) -> list[CheckMessage]:
    """Refuse weak secrets: the second one can declare orders paid."""
    if settings.DEBUG:
        return []
    return [
        Error(
            f"{name} can be guessed: it {problem}.",
            hint="Set it to what your provider shows. For the sandbox, set "
            'it to a random text: python -c "import secrets; '
            'print(secrets.token_urlsafe(24))"',
            id="orders.E002",
        )
        for name in SECRETS
        if (problem := weakness(getattr(settings, name), SECRET_LENGTH))
    ]
