"""The test cards, and the course of a charge to each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings


@dataclass(frozen=True)
class Card:
    """The course of a charge to this card."""

    number: str
    token: str
    behaviour: str
    outcome: str = "succeeded"
    refusals: int = 0  # requests answered 503 before one is accepted
    slow: bool = False
    silent: bool = False

    @property
    def delay(self) -> timedelta | None:
        """Return the time from accepting to settling; None for never."""
        if self.silent:
            return None
        return timedelta(
            seconds=settings.PAYMENTS_SANDBOX_SLOW_SECONDS
            if self.slow
            else settings.PAYMENTS_SANDBOX_SECONDS
        )


CARDS = (
    Card(
        "4242 4242 4242 4242",
        "tok_settles",
        "The charge succeeds after about a second.",
    ),
    Card(
        "4000 0000 0000 0002",
        "tok_declines",
        "The charge is declined after about a second.",
        outcome="declined",
    ),
    Card(
        "4000 0000 0000 0259",
        "tok_slow",
        "The charge succeeds, but takes its time.",
        slow=True,
    ),
    Card(
        "4000 0000 0000 9995",
        "tok_unavailable",
        "The provider answers 503 twice, then accepts; the charge succeeds.",
        refusals=2,
    ),
    Card(
        "4000 0000 0000 0341",
        "tok_silent",
        "The charge stays processing and no notification is sent.",
        silent=True,
    ),
)

BY_TOKEN = {card.token: card for card in CARDS}
