"""Callbacks: messages that tell a publisher the result of its message."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from .ids import new_id
from .messages import Attempt
from .messages import Draft
from .models import Kind
from .options import CallbackOptions
from .options import Options
from .wire import header_map


@dataclass(frozen=True)
class Outcome:
    """The result that a callback reports."""

    attempt: Attempt
    now: int
    dlq_id: str = ""  # set once the message has been given up
    place: int | None = None  # the queue that waits for the callback too


def callbacks_after(outcome: Outcome) -> list[Draft]:
    """Return one after each attempt, and another when the message has failed.

    A callback carries no callbacks of its own. Its type, its status without
    a response, and that it may become a dead letter are choice 12.
    """
    options = outcome.attempt.delivery.options
    drafts = []
    if options.callback is not None:
        drafts.append(_draft(outcome, options.callback, Kind.CALLBACK))
    if options.failure_callback is not None and outcome.dlq_id:
        drafts.append(
            _draft(outcome, options.failure_callback, Kind.FAILURE_CALLBACK)
        )
    return drafts


def _draft(outcome: Outcome, asked: CallbackOptions, kind: Kind) -> Draft:
    source = outcome.attempt.delivery
    retries = source.max_retries if asked.retries is None else asked.retries
    return Draft(
        message_id=new_id("msg"),
        account=source.account,
        kind=kind,
        url=asked.url,
        body=json.dumps(
            _payload(outcome, kind), separators=(",", ":")
        ).encode(),
        options=Options(
            method=asked.method,
            headers=(("Content-Type", "application/json"), *asked.headers),
            timeout=asked.timeout,
            retries=retries,
            retry_delay=asked.retry_delay,
            redaction=source.options.redaction,
        ),
        max_retries=retries,
        created_at=outcome.now,
        not_before=outcome.now,
        caller_ip=source.caller_ip,
        place=outcome.place,
        source=source.pk,
    )


def _payload(outcome: Outcome, kind: Kind) -> dict[str, Any]:
    source, response = outcome.attempt.delivery, outcome.attempt.response
    payload = {
        "status": response.status,  # 0 without a response
        "header": header_map(response.headers),
        "body": b64encode(response.body).decode(),
        "retried": source.retried,
        "maxRetries": source.max_retries,
        "dlqId": outcome.dlq_id if kind == Kind.FAILURE_CALLBACK else "",
        "sourceMessageId": source.message_id,
        "topicName": source.topic_name,
        "endpointName": source.endpoint_name,
        "scheduleId": source.schedule_id,
        "url": source.url,
        "method": source.options.method,
        "sourceHeader": header_map(source.options.headers),
        "sourceBody": b64encode(source.body).decode(),
        "notBefore": source.not_before,
        "createdAt": source.created_at,
        "callerIP": source.caller_ip,
    }
    return {
        name: value
        for name, value in payload.items()
        if value or name in ALWAYS
    }


# Left out when empty: `retried` was seen to be absent at 0 on the service.
ALWAYS = ("status", "header", "body", "maxRetries", "sourceBody")
