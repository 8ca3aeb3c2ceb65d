"""The order form of the page, checked by the rules of the API."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any

from django.http import QueryDict

from .cards import TEST_CARDS
from .models import Product

QUANTITY = "quantity-"
"""Start of the name of a field; the sku follows."""


@dataclass(frozen=True)
class Draft:
    """The values typed into the form."""

    email: str = ""
    card_token: str = TEST_CARDS[0].token
    quantities: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, form: QueryDict) -> Draft:
        quantities = {
            name.removeprefix(QUANTITY): str(form[name]).strip()
            for name in form
            if name.startswith(QUANTITY)
        }
        return cls(
            form.get("email", ""), form.get("card_token", ""), quantities
        )

    @property
    def skus(self) -> list[str]:
        """Return the skus with a quantity."""
        return [
            sku
            for sku, quantity in self.quantities.items()
            if quantity not in ("", "0")
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the body of the same request to the API."""
        return {
            "email": self.email,
            "card_token": self.card_token,
            "lines": [
                {"sku": sku, "quantity": self.quantities[sku]}
                for sku in self.skus
            ],
        }


@dataclass(frozen=True)
class Row:
    """A product in the form, with what was typed beside it."""

    product: Product
    quantity: str
    errors: list[str]


def rows(draft: Draft, errors: dict[str, Any]) -> list[Row]:
    """Return a row for each product, with the errors of its line."""
    complaints = line_errors(draft, errors.get("lines", {}))
    return [
        Row(
            product,
            draft.quantities.get(product.sku, ""),
            complaints.get(product.sku, []),
        )
        for product in Product.objects.all()
    ]


def line_errors(
    draft: Draft, errors: dict[int, dict[str, list[str]]]
) -> dict[str, list[str]]:
    """Return the errors by sku; the API has them by index of the line."""
    return {
        sku: [text for texts in errors[index].values() for text in texts]
        for index, sku in enumerate(draft.skus)
        if index in errors
    }
