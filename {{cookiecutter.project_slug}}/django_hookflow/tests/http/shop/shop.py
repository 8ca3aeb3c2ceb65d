"""The sample shop, driven through its API."""

from __future__ import annotations

from django_hookflow.tests.http.stack import Stack


class Shop(Stack):
    """The stack with a few products."""

    def prepare(self) -> None:
        super().prepare()
        self.manage("load_products")

    def products(self) -> dict[str, int]:
        """Return the stock of each product by its SKU."""
        return {row["sku"]: row["stock"] for row in self.get("/api/products/")}

    def place_order(self, sku: str, quantity: int = 1) -> str:
        order = self.request(
            "/api/orders/",
            {
                "email": "ada@example.com",
                "card_number": "4242 4242 4242 4242",
                "lines": [{"sku": sku, "quantity": quantity}],
            },
        )
        return str(order["id"])
