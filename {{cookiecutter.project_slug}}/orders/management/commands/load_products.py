"""Fill an empty shop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from typing import NamedTuple

from django.core.management.base import BaseCommand

from orders.models import Product


class Sample(NamedTuple):
    sku: str
    name: str
    price: Decimal
    stock: int


SAMPLES = (
    Sample("MUG-01", "Stoneware mug, slate", Decimal("14.50"), 40),
    Sample("TEA-02", "First flush Darjeeling, 100 g", Decimal("18.90"), 25),
    Sample("POT-03", "Cast iron teapot, 0.8 l", Decimal("64.00"), 12),
    Sample("TIN-04", "Tea tin with inner lid", Decimal("9.80"), 60),
    Sample("SET-05", "Travel set for two", Decimal("89.00"), 1),
)


class Command(BaseCommand):
    help = "Add the sample's products that the shop does not have yet."

    def handle(self, *args: Any, **options: Any) -> None:
        added = [sample.sku for sample in SAMPLES if add(sample)]
        names = f" ({', '.join(added)})" if added else ""
        self.stdout.write(
            f"Added {len(added)} products{names}; "
            f"{len(SAMPLES) - len(added)} were there already."
        )


def add(sample: Sample) -> bool:
    """Add it unless its sku is there; whether it was added."""
    _, added = Product.objects.get_or_create(
        sku=sample.sku, defaults=sample._asdict()
    )
    return added
