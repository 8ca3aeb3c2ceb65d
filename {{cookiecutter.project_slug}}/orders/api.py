"""The shop for programs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework import status
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from .models import Order
from .models import Product
from .serializers import NewOrderSerializer
from .serializers import OrderSerializer
from .serializers import OrderWithRunSerializer
from .serializers import ProductSerializer


class OrderParser(JSONParser):
    """JSON; nesting without end is the sender's error, not the site's."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error


class ProductList(generics.ListAPIView[Product]):
    """The products."""

    queryset = Product.objects.all()
    serializer_class = ProductSerializer


class OrderCreate(generics.GenericAPIView[Order]):
    """Place an order by a POST; the url in its answer shows how it goes."""

    # Anyone may order, so a session adds no rights here.
    authentication_classes = ()
    parser_classes = (OrderParser,)
    serializer_class = NewOrderSerializer

    @extend_schema(responses={201: OrderSerializer})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        new = self.get_serializer(data=request.data)
        new.is_valid(raise_exception=True)
        order = OrderSerializer(
            new.save(), context=self.get_serializer_context()
        )
        return Response(
            order.data,
            status=status.HTTP_201_CREATED,
            headers={"Location": order.data["url"]},
        )


class OrderDetail(generics.RetrieveAPIView[Order]):
    """Public to anyone who knows the id, which cannot be guessed."""

    queryset = Order.objects.all()
    serializer_class = OrderWithRunSerializer
