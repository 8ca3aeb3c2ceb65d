"""Products, orders and payments."""

from __future__ import annotations

import uuid
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.urls import reverse


class Product(models.Model):
    sku = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.PositiveIntegerField(
        default=0, help_text="What can still be promised to a new order."
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(stock__gte=0), name="product_stock_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(price__gt=0), name="product_price_positive"
            ),
        )

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    class Status(models.TextChoices):
        # Accepted by the site; its workflow has not touched it yet.
        PLACED = "placed"
        # Its goods are taken out of the stock; nothing is paid.
        RESERVED = "reserved"
        # The provider has the money.
        PAID = "paid"
        # On its way to the customer. The end, unless it comes back.
        FULFILLED = "fulfilled"
        # The customer sends it back, and gets the money back.
        RETURNING = "returning"
        # The customer has the money again. Final.
        REFUNDED = "refunded"
        # The provider refused the card; the goods are back. The end.
        DECLINED = "declined"
        # Not paid in time; the goods are back. Final.
        EXPIRED = "expired"
        # We could not serve it; `reason` says why. The end.
        CANCELLED = "cancelled"

    # The id stands in public addresses, so it is random.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField()
    status = models.CharField(
        max_length=20, choices=Status, default=Status.PLACED
    )
    reason = models.CharField(max_length=200, blank=True)
    total = models.DecimalField(max_digits=16, decimal_places=2)
    run_id = models.CharField(max_length=255, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("-created_at",)),)

    def __str__(self) -> str:
        return f"Order {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("orders:order", args=(self.pk,))


class OrderLine(models.Model):
    order = models.ForeignKey(
        Order, on_delete=models.CASCADE, related_name="lines"
    )
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()
    unit_price = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        help_text="The price when the order was placed.",
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(quantity__gt=0), name="line_quantity_positive"
            ),
            models.UniqueConstraint(
                fields=("order", "product"), name="line_product_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit_price


class Payment(models.Model):
    class Status(models.TextChoices):
        # The provider has not answered yet.
        CREATED = "created"
        # The provider knows the charge and will notify us.
        PROCESSING = "processing"
        SUCCEEDED = "succeeded"
        DECLINED = "declined"
        # Taken back before it went through.
        CANCELLED = "cancelled"
        # Given back after it had come.
        REFUNDED = "refunded"

    order = models.OneToOneField(
        Order, on_delete=models.CASCADE, related_name="payment"
    )
    amount = models.DecimalField(max_digits=16, decimal_places=2)
    # The provider's name for the card; the number never comes here.
    card_token = models.CharField(max_length=100)
    provider_id = models.CharField(max_length=100, blank=True)
    status = models.CharField(
        max_length=20, choices=Status, default=Status.CREATED
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("provider_id",),
                condition=~Q(provider_id=""),
                name="payment_provider_id_once",
            ),
            models.CheckConstraint(
                condition=Q(amount__gte=0), name="payment_not_negative"
            ),
        )

    def __str__(self) -> str:
        return f"Payment of {self.amount} for {self.order_id}"
