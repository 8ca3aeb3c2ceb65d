"""Transports whose messages arrive at the webhook, signed as QStash does."""

from __future__ import annotations

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Error
from django.http import HttpRequest

from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.transports.base import Transport
from django_hookflow.transports.base import task_url
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.signature import PUBLIC_KEYS
from django_hookflow.transports.signature import verify_qstash_signature

KEYS = ("QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")


class SignedTransport(Transport):
    def receive(self, request: HttpRequest, workflow_id: str) -> Delivery:
        body = signed_body(request, webhook_url(workflow_id))
        delivery = Delivery.decode(body)
        if delivery.workflow_id != workflow_id:
            raise InvalidDelivery(
                "It is for another workflow",
                status=NON_RETRYABLE,
                kind="malformed",
            )
        return delivery

    def receive_task(self, request: HttpRequest, task: str) -> bytes:
        return signed_body(request, task_url(task))

    def check(self) -> list[CheckMessage]:
        return [
            *_check_domain(),
            *(e for key in KEYS for e in _check_key(key)),
        ]


def signed_body(request: HttpRequest, url: str) -> bytes:
    """The body that QStash signed for `url`; InvalidDelivery if it did not.

    It is read only after its size has been looked at, and only when there
    is a signature at all.
    """
    size, most = _content_length(request), conf.DJANGO_HOOKFLOW_MAX_BODY
    if size > most:
        raise InvalidDelivery(
            f"Its body has {size:,} bytes, and DJANGO_HOOKFLOW_MAX_BODY lets "
            f"{most:,} be read",
            status=413,
            kind="oversized",
        )
    token = request.headers.get("Upstash-Signature", "")
    if not token:
        raise InvalidDelivery("It has no Upstash-Signature", kind="unsigned")
    if not hasattr(request, "_body"):
        # DATA_UPLOAD_MAX_MEMORY_SIZE, which is for forms, may be smaller.
        request._body = request.read(size)
    verify_qstash_signature(token, request.body, url)
    return request.body


def _content_length(request: HttpRequest) -> int:
    """As the server has found it; 0 when there is no body."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _check_domain() -> list[CheckMessage]:
    domain = conf.DJANGO_HOOKFLOW_DOMAIN
    if not domain:
        return [
            Error(
                "DJANGO_HOOKFLOW_DOMAIN is not configured, so QStash has no "
                "address to call.",
                hint='Set it to your public URL, such as "https://shop.'
                'example.com"; on a laptop to "http://127.0.0.1:8000", with '
                "QSTASH_URL at the embedded server.",
                id="django_hookflow.E001",
            )
        ]
    if not domain.startswith(("http://", "https://")):
        return [
            Error(
                f"DJANGO_HOOKFLOW_DOMAIN is {domain!r}, which is no URL.",
                hint=f'Write the scheme too: "https://{domain}".',
                id="django_hookflow.E002",
            )
        ]
    return []


def _check_key(name: str) -> list[CheckMessage]:
    value = getattr(conf, name)
    if not value:
        return [
            Error(
                f"{name} is not configured, so no message can be believed.",
                hint="Copy it from the QStash console.",
                id="django_hookflow.E003",
            )
        ]
    if value in PUBLIC_KEYS and not settings.DEBUG:
        return [
            Error(
                f"{name} is a development key that is printed in QStash's "
                "docs: anyone can sign with it.",
                hint="Copy your own from the QStash console.",
                id="django_hookflow.E004",
            )
        ]
    return []
