"""The settings of the sandbox, with their types and defaults."""

from __future__ import annotations

from typing import Any

from django.conf import settings


class SandboxSettings:
    """Each attribute is a setting; its value here is the default."""

    PAYMENTS_URL: str = ""
    """Where the shop finds its provider; ours ends with /sandbox."""

    PAYMENTS_API_KEY: str = ""
    """The bearer token a caller must show; nobody may call when empty."""

    PAYMENTS_WEBHOOK_SECRET: str = ""
    """Notifications are signed with it."""

    PAYMENTS_SANDBOX_SECONDS: float = 1
    """How long a charge takes."""

    PAYMENTS_SANDBOX_SLOW_SECONDS: float = 20
    """How long it takes with the slow card."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.isupper():
            return value
        # os.environ.get() of a variable that is not set is None.
        given = getattr(settings, name, None)
        return value if given is None else given

    @property
    def is_the_provider(self) -> bool:
        """Whether the shop asks us, and not a real provider."""
        return self.PAYMENTS_URL.rstrip("/").endswith("/sandbox")

    @property
    def PAYMENTS_SANDBOX_NOTIFIER(self) -> bool:  # noqa: N802
        """Notify from a thread of the site; on a laptop unless told not to.

        Elsewhere `manage.py settle_payments` does it.
        """
        return bool(settings.DEBUG)


conf = SandboxSettings()
