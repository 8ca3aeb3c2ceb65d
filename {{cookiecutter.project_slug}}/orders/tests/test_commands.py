"""The commands of the shop."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from orders.models import Product


@pytest.mark.django_db
def test_products_are_loaded_once(capsys: Any) -> None:
    call_command("load_products")
    first = capsys.readouterr().out
    Product.objects.filter(sku="MUG-01").update(stock=3)

    call_command("load_products")

    assert first == (
        "Added 5 products (MUG-01, TEA-02, POT-03, TIN-04, SET-05); "
        "0 were there already.\n"
    )
    assert capsys.readouterr().out == (
        "Added 0 products; 5 were there already.\n"
    )
    assert Product.objects.count() == 5
    assert Product.objects.get(sku="MUG-01").stock == 3
