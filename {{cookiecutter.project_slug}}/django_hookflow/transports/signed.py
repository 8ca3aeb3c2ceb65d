"""Transports whose messages arrive at the webhook, signed as QStash does."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Error
from django.core.checks import Warning as CheckWarning
from django.http import HttpRequest

from django_hookflow.addresses import cure_for
from django_hookflow.addresses import problem_of
from django_hookflow.conf import conf
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import NON_RETRYABLE
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.strength import weakness
from django_hookflow.transports.base import Transport
from django_hookflow.transports.base import task_url
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.signature import PUBLIC_KEYS
from django_hookflow.transports.signature import verify_qstash_signature

KEYS = ("QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")


class SignedTransport(Transport):
    """Receives its messages by HTTP, signed as QStash does."""

    def receive(self, request: HttpRequest, workflow_id: str) -> Delivery:
        """Return the delivery in a request, or raise InvalidDelivery."""
        body = signed_body(request, webhook_url(workflow_id))
        delivery = Delivery.decode(body)
        if delivery.workflow_id != workflow_id:
            raise InvalidDelivery(
                f"The body is for workflow {delivery.workflow_id!r}, expected "
                f"{workflow_id!r}",
                status=NON_RETRYABLE,
                kind="malformed",
            )
        return delivery

    def receive_task(self, request: HttpRequest, task: str) -> bytes:
        """Return the body of a request for a task of maintenance.

        Raises InvalidDelivery.
        """
        return signed_body(request, task_url(task))

    def check(self) -> list[CheckMessage]:
        return [
            *_check_domain(),
            *(e for key in KEYS for e in _check_key(key)),
        ]


def signed_body(request: HttpRequest, url: str) -> bytes:
    """Return the body if QStash signed it for `url`, or raise InvalidDelivery.

    The body is not read when it is too large or has no signature.
    """
    _refuse_oversized(_content_length(request))
    token = request.headers.get("Upstash-Signature", "")
    if not token:
        raise InvalidDelivery(
            "The header Upstash-Signature is missing", kind="unsigned"
        )
    body = _body(request)
    verify_qstash_signature(token, body, url)
    return body


def _body(request: HttpRequest) -> bytes:
    """Read the body; InvalidDelivery if too large, or read before."""
    if hasattr(request, "_body"):
        return request.body
    if getattr(request, "_read_started", False):
        raise InvalidDelivery(
            "The body was already read: some middleware uses request.read() "
            "or request.POST. Let it use request.body, or leave this address "
            "out",
            kind="unreadable",
        )
    # DATA_UPLOAD_MAX_MEMORY_SIZE, which is for forms, may be smaller.
    body: bytes = _read(request)
    _refuse_oversized(len(body))
    request._body = body
    return body


def _read(request: HttpRequest) -> bytes:
    """Read the body, and at most a byte more than is allowed.

    A tunnel may send it in chunks, without a length. A server that joins them
    says so by wsgi.input_terminated; without that, a read could wait for ever.
    """
    if request.META.get("CONTENT_LENGTH"):
        return bytes(request.read(_content_length(request)))
    most = conf.DJANGO_HOOKFLOW_MAX_BODY + 1
    environ: dict[str, Any] | None = getattr(request, "environ", None)
    if environ is None:  # by ASGI, where the whole body is there
        return bytes(request.read(most))
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read(most))
    return b""


def _content_length(request: HttpRequest) -> int:
    """Return the length by the header; 0 when it has none."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _refuse_oversized(size: int) -> None:
    most = conf.DJANGO_HOOKFLOW_MAX_BODY
    if size > most:
        raise InvalidDelivery(
            f"The body has {size:,} bytes, and DJANGO_HOOKFLOW_MAX_BODY allows"
            f" {most:,}",
            status=413,
            kind="oversized",
        )


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
    if problem := problem_of(domain):
        return [
            Error(
                f"DJANGO_HOOKFLOW_DOMAIN is {domain!r}, {problem}.",
                hint=cure_for(domain),
                id="django_hookflow.E002",
            )
        ]
    return _check_redirect(domain)


def _check_redirect(domain: str) -> list[CheckMessage]:
    """Warn only: a proxy may add https on the way."""
    if domain.startswith("https:") or not settings.SECURE_SSL_REDIRECT:
        return []
    return [
        CheckWarning(
            f"DJANGO_HOOKFLOW_DOMAIN is {domain!r} and SECURE_SSL_REDIRECT is "
            "on, so each delivery is redirected to https and does not arrive.",
            hint=cure_for(domain),
            id="django_hookflow.W003",
        )
    ]


def _check_key(name: str) -> list[CheckMessage]:
    value = getattr(conf, name)
    if not value:
        return [
            Error(
                f"{name} is not configured, so no message can be verified.",
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
    return _check_strength(name, value)


def _check_strength(name: str, value: str) -> list[CheckMessage]:
    """Refuse weak keys unless DEBUG is on, and a space at an end always."""
    problem = weakness(value)
    if not problem or (settings.DEBUG and value == value.strip()):
        return []
    return [
        Error(
            f"{name} can be guessed or is mistyped: it {problem}. Messages "
            "forged with it would be accepted.",
            hint="Copy it from the QStash console, without spaces. For the "
            'embedded server: python -c "import secrets; '
            "print('sig_' + secrets.token_urlsafe(24))\"",
            id="django_hookflow.E012",
        )
    ]
