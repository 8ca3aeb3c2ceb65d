"""Test cards, in place of the card form of a real provider.

A real provider's own script takes the card number in the browser and gives
the page a token for it, so that the number never reaches this site. The
sandbox knows its few test numbers by the fixed tokens below; the page offers
the tokens, and the API also takes the numbers, to be kind to curl.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TestCard:
    number: str
    token: str
    label: str


TEST_CARDS = (
    TestCard("4242424242424242", "tok_settles", "Pays"),
    TestCard("4000000000000002", "tok_declines", "Is declined"),
    TestCard("4000000000000259", "tok_slow", "Pays slowly"),
    TestCard(
        "4000000000009995", "tok_unavailable", "Pays; two refusals first"
    ),
    TestCard("4000000000000341", "tok_silent", "Is never heard of again"),
)


def token_of(number: str) -> str | None:
    """Return the token of a test card, None for any other number."""
    digits = number.replace(" ", "")
    return next(
        (card.token for card in TEST_CARDS if card.number == digits), None
    )
