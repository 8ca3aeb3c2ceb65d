"""The addresses of the shop."""

from __future__ import annotations

from django.urls import path

from . import api
from . import views
from . import webhooks

app_name = "orders"

urlpatterns = [
    path("", views.shop, name="shop"),
    path("orders/<uuid:pk>/", views.order, name="order"),
    path("api/products/", api.ProductList.as_view(), name="api-products"),
    path("api/orders/", api.OrderCreate.as_view(), name="api-orders"),
    path("api/orders/<uuid:pk>/", api.OrderDetail.as_view(), name="api-order"),
    path(
        "payments/webhook/", webhooks.payment_webhook, name="payment-webhook"
    ),
]
