"""The JSON of the shop, and its validation."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from .cards import token_of
from .models import Order
from .models import Product
from .placement import Item
from .placement import place_order
from .timeline import sees_errors
from .timeline import timeline_of

MAX_LINES = 50
MAX_QUANTITY = 1000


class ProductSerializer(serializers.ModelSerializer[Product]):
    class Meta:
        model = Product
        fields = ("sku", "name", "price", "stock")
        # Only listed; else its schema would tell the bounds of the database.
        read_only_fields = fields


class LineSerializer(serializers.Serializer[Any]):
    sku = serializers.CharField(max_length=40)
    quantity = serializers.IntegerField(
        min_value=1,
        max_value=MAX_QUANTITY,
        error_messages={
            "invalid": "Give a whole number.",
            "max_string_length": "Give a whole number.",
            "min_value": "Order at least {min_value}.",
            "max_value": "Order at most {max_value}.",
        },
    )


class NewOrderSerializer(serializers.Serializer[Order]):
    """An order to place; the card is a token, or a test card's number."""

    email = serializers.EmailField(
        max_length=254,
        error_messages={"blank": "Give your e-mail address."},
    )
    card_token = serializers.RegexField(
        r"\Atok_\w+\Z", max_length=100, required=False
    )
    card_number = serializers.CharField(max_length=40, required=False)
    lines = LineSerializer(
        many=True,
        allow_empty=False,
        max_length=MAX_LINES,  # type: ignore[call-arg]  # of the list
        error_messages={
            "empty": "Choose at least one product.",
            "max_length": "Order at most {max_length} products at once.",
        },
    )

    def validate_card_number(self, number: str) -> str:
        token = token_of(number)
        if token is None:
            raise serializers.ValidationError(
                "This is not one of the sandbox's test cards. The number of "
                "a real card is given to the payment provider only; send "
                "its token as card_token."
            )
        return token

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[Item]:
        return items_of(lines)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        tokens = [
            attrs[name]
            for name in ("card_token", "card_number")
            if name in attrs
        ]
        if len(tokens) != 1:
            raise serializers.ValidationError(
                {"card_number": "Give either card_token or card_number."}
            )
        return {
            "email": attrs["email"],
            "card_token": tokens[0],
            "items": attrs["lines"],
        }

    def create(self, validated_data: dict[str, Any]) -> Order:
        return place_order(**validated_data)


def items_of(lines: list[dict[str, Any]]) -> list[Item]:
    """Return an item for each line; errors are by the line's index."""
    products = Product.objects.in_bulk(
        [line["sku"] for line in lines], field_name="sku"
    )
    seen: set[str] = set()
    errors: dict[Any, Any] = {}
    for index, line in enumerate(lines):
        problem = line_errors(line, products.get(line["sku"]), seen)
        if problem:
            errors[index] = problem
        seen.add(line["sku"])
    if errors:
        raise serializers.ValidationError(errors)
    return [Item(products[line["sku"]], line["quantity"]) for line in lines]


def line_errors(
    line: dict[str, Any], product: Product | None, seen: set[str]
) -> dict[str, list[str]]:
    if product is None:
        return {"sku": [f"Product {line['sku']!r} does not exist."]}
    if product.sku in seen:
        return {"sku": [f"{product.sku} is ordered twice; use one line."]}
    if product.stock < line["quantity"]:
        return {"quantity": [f"Only {product.stock} left."]}
    return {}


class OrderSerializer(serializers.ModelSerializer[Order]):
    """An order as the API answers with it; `page` is for people."""

    url = serializers.SerializerMethodField()
    page = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = (
            "id",
            "status",
            "reason",
            "total",
            "url",
            "page",
            "run_id",
            "created_at",
        )

    def get_url(self, order: Order) -> str:
        return self.address("orders:api-order", order)

    def get_page(self, order: Order) -> str:
        return self.address("orders:order", order)

    def address(self, name: str, order: Order) -> str:
        # REST framework's own reverse hands on the ?format= of a request.
        path = reverse(name, args=(order.pk,))
        return str(self.context["request"].build_absolute_uri(path))


class OrderWithRunSerializer(OrderSerializer):
    run = serializers.SerializerMethodField()

    class Meta(OrderSerializer.Meta):
        # First, since it reads the order again, for the other fields.
        fields = ("run", *OrderSerializer.Meta.fields)  # type: ignore[assignment]

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_run(self, order: Order) -> Any:
        return timeline_of(order, sees_errors(self.context["request"].user))
