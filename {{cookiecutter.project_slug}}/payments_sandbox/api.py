"""The provider's API."""

from __future__ import annotations

import hmac
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from . import charges
from .cards import BY_TOKEN
from .models import Charge
from .models import new_key

MAX_KEY = 255


class ApiKey(BaseAuthentication):
    """Require the key in PAYMENTS_API_KEY."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, None]:
        given = request.headers.get("Authorization", "")
        expected = f"Bearer {settings.PAYMENTS_API_KEY}"
        same = hmac.compare_digest(given.encode(), expected.encode())
        if not settings.PAYMENTS_API_KEY or not same:
            raise AuthenticationFailed(
                "Send Authorization: Bearer <the value of PAYMENTS_API_KEY>."
            )
        return AnonymousUser(), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ChargeSerializer(serializers.Serializer[charges.ChargeRequest]):
    amount = serializers.DecimalField(
        max_digits=16, decimal_places=2, min_value=Decimal("0.01")
    )
    currency = serializers.RegexField(r"\A[A-Z]{3}\Z")
    reference = serializers.CharField(max_length=100)
    card_token = serializers.ChoiceField(choices=sorted(BY_TOKEN))
    webhook_url = serializers.RegexField(r"\Ahttps?://\S+\Z", max_length=500)

    def create(self, validated_data: Any) -> charges.ChargeRequest:
        return charges.ChargeRequest(**validated_data)


class ChargeList(APIView):
    authentication_classes = (ApiKey,)

    def post(self, request: Request) -> Response:
        """Take a charge: 202, and a notification when it has settled."""
        serializer = ChargeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            charge = charges.create(serializer.save(), key_of(request))
        except charges.Unavailable as error:
            return Response({"detail": str(error)}, status=503)
        except charges.KeyReused as error:
            return Response({"detail": str(error)}, status=409)
        return Response(charge.as_json(), status=202)


def key_of(request: Request) -> str:
    """Return the caller's Idempotency-Key, or a random one."""
    key = request.headers.get("Idempotency-Key") or new_key()
    if len(key) > MAX_KEY:
        raise serializers.ValidationError(
            {"Idempotency-Key": f"Use at most {MAX_KEY} characters."}
        )
    return key


class ChargeDetail(APIView):
    authentication_classes = (ApiKey,)

    def get(self, request: Request, pk: str) -> Response:
        return Response(get_object_or_404(Charge, pk=pk).as_json())


class ChargeCancel(APIView):
    authentication_classes = (ApiKey,)

    def post(self, request: Request, pk: str) -> Response:
        """Cancel it: 200, or 409 when it has settled; the charge in both."""
        charges.cancel(pk)
        return answer(pk, Charge.Status.CANCELLED)


class ChargeRefund(APIView):
    authentication_classes = (ApiKey,)

    def post(self, request: Request, pk: str) -> Response:
        """Refund it: 200, or 409 when no money has come; always the charge."""
        charges.refund(pk)
        return answer(pk, Charge.Status.REFUNDED)


def answer(pk: str, wanted: Charge.Status) -> Response:
    charge = get_object_or_404(Charge, pk=pk)
    done = charge.status == wanted
    return Response(charge.as_json(), status=200 if done else 409)
