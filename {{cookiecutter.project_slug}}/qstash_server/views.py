"""Rows as the JSON of the API. Unset fields are absent, never null."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

from .models import DeadLetter
from .models import Event
from .models import Message
from .options import CallbackOptions
from .options import Options
from .options import Pairs
from .options import Redaction
from .wire import HeaderMap
from .wire import body_fields
from .wire import header_map

View = dict[str, Any]


def message_view(message: Message) -> View:
    """Return a row as the Message of the API."""
    options = Options.from_json(message.options)
    view: View = {
        "messageId": message.message_id,
        "url": message.url,
        "method": options.method,
        "maxRetries": message.max_retries,
        "notBefore": message.not_before,
        "createdAt": message.created_at,
        "header": headers_view(options.headers, options.redaction),
    }
    view |= body_view(bytes(message.body), options.redaction)
    return view | message_fields(message, options)


def message_fields(message: Message, options: Options) -> View:
    """Return the optional fields that messages and log lines share."""
    callback, failure = options.callback, options.failure_callback
    fields = {
        "topicName": message.topic_name,
        "endpointName": message.endpoint_name,
        "queueName": message.queue_name,
        "scheduleId": message.schedule_id,
        "callerIP": message.caller_ip,
        "callback": callback.url if callback else "",
        "failureCallback": failure.url if failure else "",
        "callbackHeader": _of(callback, options.redaction),
        "failureCallbackHeader": _of(failure, options.redaction),
        "retryDelayExpression": options.retry_delay,
    }
    return present(fields) | option_fields(options)


def option_fields(options: Options) -> View:
    """Return labels and flow control."""
    fields: View = {}
    if options.labels:
        fields |= {"label": options.labels[0], "labels": [*options.labels]}
    flow = options.flow
    if flow is not None:
        fields |= present(
            {
                "flowControlKey": flow.key,
                "parallelism": flow.parallelism,
                "rate": flow.rate,
                "period": flow.period or 1,
            }
        )
    return fields


def dead_letter_view(letter: DeadLetter) -> View:
    """Return a Message with the last answer of its destination."""
    return message_view(letter.message) | {
        "dlqId": letter.dlq_id,
        "responseStatus": letter.response_status,
        "responseHeader": header_map(pairs(letter.response_headers)),
        **body_fields(bytes(letter.response_body), "responseBody"),
    }


def log_view(event: Event, body: bytes) -> View:
    """Return a line of the log, with the message's body if it is not large.

    Where documents and clients spell a field differently, both are sent.
    """
    message = event.message
    options = Options.from_json(message.options)
    fields = message_fields(message, options)
    fields["callbackHeaders"] = fields.pop("callbackHeader", None)
    fields["failureCallbackHeaders"] = fields.pop(
        "failureCallbackHeader", None
    )
    return {
        "time": event.time,
        "messageId": message.message_id,
        "state": event.state,
        "url": message.url,
        "method": options.method,
        "maxRetries": message.max_retries,
        "header": headers_view(options.headers, options.redaction),
        **present(
            fields
            | response_fields(event)
            | {
                "error": event.error,
                "nextDeliveryTime": event.next_delivery,
                "retryDelayExpr": options.retry_delay,
                "timeout": options.timeout,
                "body": log_body(body, options.redaction),
            }
        ),
    }


def response_fields(event: Event) -> View:
    if event.response_headers is None:
        return {}
    headers = header_map(pairs(event.response_headers))
    return {
        "responseStatus": event.response_status,
        "responseHeader": headers,
        "responseHeaders": headers,
        "responseBody": encoded(bytes(event.response_body or b"")),
    }


def log_body(body: bytes, redaction: Redaction) -> str:
    """Return a body in base64, also when it is redacted (choice 30)."""
    if redaction.body and body:
        return encoded(redacted_bytes(body).encode())
    return encoded(body)


def headers_view(headers: Pairs, redaction: Redaction) -> HeaderMap:
    """Return headers with their secrets replaced by hashes."""
    return {
        name: [redacted(v) if hides(name, redaction) else v for v in values]
        for name, values in header_map(headers).items()
    }


def body_view(body: bytes, redaction: Redaction) -> View:
    if redaction.body and body:
        return {"body": redacted_bytes(body)}
    return body_fields(body)


def redacted(value: str) -> str:
    return redacted_bytes(value.encode())


def redacted_bytes(value: bytes) -> str:
    """Return a hash in hex; the service's spelling is unknown (choice 30)."""
    return f"REDACTED:{sha256(value).hexdigest()}"


def hides(name: str, redaction: Redaction) -> bool:
    return redaction.all_headers or name.lower() in redaction.headers


def present(fields: View) -> View:
    """Return the fields that are set."""
    return {
        name: value
        for name, value in fields.items()
        if value not in (None, "", {}, [])
    }


def encoded(body: bytes) -> str:
    return b64encode(body).decode()


def pairs(data: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in data)


def _of(callback: CallbackOptions | None, redaction: Redaction) -> HeaderMap:
    if callback is None:
        return {}
    return headers_view(callback.headers, redaction)
