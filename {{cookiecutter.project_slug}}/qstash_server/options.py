"""Parse the `Upstash-*` headers of a publisher into frozen values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

from . import expression
from .clock import DAY
from .clock import SECOND
from .durations import parse_duration
from .errors import BadRequestError
from .errors import UnservedError
from .numbers import parse_number
from .target import check_url
from .target import is_name
from .wire import as_latin
from .wire import as_text

Pairs = tuple[tuple[str, str], ...]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FIELD_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+", re.ASCII)
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
INTEGER = re.compile(r"\d{1,12}", re.ASCII)
FLOW_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
MAX_KEY = 256
# What the SDKs of Upstash Workflow send, whose runs the service keeps.
WORKFLOW = re.compile(
    r"upstash-(feature-set$|((failure-)?callback-)?workflow-)", re.ASCII
)
# Headers that describe the connection or come from us: they are never taken
# from a publisher. The service's answer to a clash is not documented; a
# system header wins here (choice 28), since receivers rely on it.
SYSTEM = frozenset(
    {
        "connection",
        "content-length",
        "content-type",  # only the plain Content-Type counts
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "upstash-caller-ip",
        "upstash-message-id",
        "upstash-region",
        "upstash-retried",
        "upstash-schedule-id",
        "upstash-signature",
        "upstash-topic-name",
    }
)
# Upstash-Header-Forward forwards all headers but these: the token is the
# publisher's secret, the encoding is between the publisher and us.
NOT_FORWARDED = SYSTEM | {"authorization", "accept-encoding"}


@dataclass(frozen=True, kw_only=True)
class CallbackOptions:
    """The address for callbacks about attempts, and their options."""

    url: str
    method: str = "POST"
    headers: Pairs = ()
    retries: int | None = None  # None: as many as the source message
    timeout: int | None = None  # milliseconds
    retry_delay: str = ""


@dataclass(frozen=True, kw_only=True)
class FlowControl:
    """The flow control key of a message, and the limits it sets."""

    key: str
    parallelism: int | None = None
    rate: int | None = None
    period: int | None = None  # seconds


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """Fields that the views of the API hide."""

    body: bool = False
    all_headers: bool = False
    headers: tuple[str, ...] = ()  # in lower case


@dataclass(frozen=True, kw_only=True)
class Options:
    """All settings of a message besides destination and body."""

    method: str = "POST"
    headers: Pairs = ()  # what the destination gets, in order
    timeout: int | None = None  # milliseconds
    retries: int | None = None  # None: the default
    retry_delay: str = ""
    delay: int = 0  # milliseconds
    not_before: int | None = None  # Unix milliseconds
    labels: tuple[str, ...] = ()
    flow: FlowControl | None = None
    deduplication_id: str = ""
    content_deduplication: bool = False
    callback: CallbackOptions | None = None
    failure_callback: CallbackOptions | None = None
    redaction: Redaction = field(default_factory=Redaction)
    cron: str = ""
    schedule_id: str = ""
    queue: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a dict for a JSON column; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Options:
        values = dict(data)
        values["headers"] = _pairs(data["headers"])
        values["labels"] = tuple(data["labels"])
        for name in ("callback", "failure_callback"):
            if data[name] is not None:
                headers = _pairs(data[name]["headers"])
                values[name] = CallbackOptions(
                    **{**data[name], "headers": headers}
                )
        if data["flow"] is not None:
            values["flow"] = FlowControl(**data["flow"])
        redacted = data["redaction"]
        values["redaction"] = Redaction(
            **{**redacted, "headers": tuple(redacted["headers"])}
        )
        return cls(**values)


# What a retry of a dead letter may change, by header: how to deliver, not
# what. A delay is not stored; it only puts off the new message.
CONFIGURATION = {
    "upstash-method": "method",
    "upstash-timeout": "timeout",
    "upstash-retries": "retries",
    "upstash-retry-delay": "retry_delay",
    "upstash-label": "labels",
    "upstash-flow-control-key": "flow",
    "upstash-callback": "callback",
    "upstash-failure-callback": "failure_callback",
}


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Options of a retry, and the names of those that replace the old."""

    options: Options = field(default_factory=Options)
    fields: tuple[str, ...] = ()

    def on(self, old: Options) -> Options:
        changed = {name: getattr(self.options, name) for name in self.fields}
        return replace(old, **changed)


NO_OVERRIDES = Overrides()


def parse_overrides(headers: Pairs) -> Overrides:
    """Read the options of a request to retry, or raise BadRequestError."""
    given = {name.lower() for name, _ in headers}
    fields = tuple(
        field for name, field in CONFIGURATION.items() if name in given
    )
    return Overrides(options=parse_options(headers), fields=fields)


def parse_options(
    headers: Iterable[tuple[str, str]],
    parameters: Iterable[tuple[str, str]] = (),
) -> Options:
    """Read the headers of a publish request, or raise BadRequestError.

    `parameters` are the `upstash-*` pairs of the URL; a header wins over a
    parameter of the same name. Headers hold bytes as latin-1, as they came
    and as they are forwarded; what is for us is read as text.
    """
    given = tuple(headers)
    names = {name.lower() for name, _ in given}
    pairs = given + tuple(
        (name, as_latin(value))
        for name, value in parameters
        if name.lower() not in names
    )
    named = {name.lower(): value.strip() for name, value in pairs}
    for name, value in named.items():
        _check_served(name)
        _check_value(name, value)
    read = _Reader({name: as_text(value) for name, value in named.items()})
    return Options(
        method=read.method("upstash-method"),
        headers=_forwarded(pairs, named),
        timeout=read.duration("upstash-timeout", fractions=True),
        retries=read.number("upstash-retries"),
        retry_delay=read.expression("upstash-retry-delay"),
        delay=read.duration("upstash-delay") or 0,
        not_before=read.moment("upstash-not-before"),
        labels=read.words("upstash-label"),
        flow=read.flow(),
        deduplication_id=read.deduplication_id(),
        content_deduplication=read.flag("upstash-content-based-deduplication"),
        callback=read.callback("upstash-callback", pairs),
        failure_callback=read.callback("upstash-failure-callback", pairs),
        redaction=read.redaction(),
        cron=read.text("upstash-cron"),
        schedule_id=read.name("upstash-schedule-id"),
        queue=read.name("upstash-queue-name"),
    )


def check_field_name(name: str) -> str:
    if not FIELD_NAME.fullmatch(name):
        raise BadRequestError(f"{name!r} is not a valid header name")
    return name


def parse_flow_value(text: str) -> dict[str, int]:
    """Read the numbers of "parallelism=5, rate=10, period=1m"; period in s."""
    values: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        values[name] = _flow_number(name, value)
    return values


class _Reader:
    """One typed look-up for each kind of header value."""

    def __init__(self, named: dict[str, str]) -> None:
        self._named = named

    def text(self, name: str) -> str:
        return self._named.get(name, "")

    def method(self, name: str) -> str:
        value = (self.text(name) or "POST").upper()
        if value not in METHODS:
            raise BadRequestError(f"{name}: {value!r} is not one of {METHODS}")
        return value

    def number(self, name: str) -> int | None:
        # Negative numbers are refused, no cap unless set (choice 5).
        return parse_number(name, self.text(name), INTEGER)

    def moment(self, name: str) -> int | None:
        seconds = self.number(name)
        return None if seconds is None else seconds * SECOND

    def duration(self, name: str, *, fractions: bool = False) -> int | None:
        value = self.text(name)
        if not value:
            return None
        milliseconds = parse_duration(value, fractions=fractions)
        if milliseconds is None:
            raise BadRequestError(
                f"{name}: {value!r} is not a duration such as 10s or 1h30m"
            )
        return milliseconds

    def expression(self, name: str) -> str:
        value = self.text(name)
        try:
            if value:
                expression.parse(value)
        except expression.ExpressionError as error:
            raise BadRequestError(f"{name}: {value!r}: {error}") from error
        return value

    def words(self, name: str) -> tuple[str, ...]:
        words = (word.strip() for word in self.text(name).split(","))
        return tuple(filter(None, words))

    def flag(self, name: str) -> bool:
        value = self.text(name).lower()
        if value not in ("", "true", "false", "1", "0"):
            raise BadRequestError(
                f"{name}: {value!r} is neither true nor false"
            )
        return value in ("true", "1")

    def name(self, name: str) -> str:
        value = self.text(name)
        if value and not is_name(value):
            raise BadRequestError(
                f"{name}: {value!r} may only hold letters, digits, - _ ."
            )
        return value

    def deduplication_id(self) -> str:
        value = self.text("upstash-deduplication-id")
        if ":" in value:
            raise BadRequestError("DeduplicationId cannot contain ':'")
        return value

    def flow(self) -> FlowControl | None:
        key = self.text("upstash-flow-control-key")
        value = self.text("upstash-flow-control-value")
        if not key:
            return None
        if len(key) > MAX_KEY:
            raise BadRequestError(
                f"upstash-flow-control-key: longer than {MAX_KEY} characters"
            )
        return FlowControl(key=key, **parse_flow_value(value))

    def redaction(self) -> Redaction:
        body, everything, names = False, False, []
        for word in self.words("upstash-redact-fields"):
            match = re.fullmatch(r"headers?(?:\[(.+)\])?", word, re.I)
            if word.lower() == "body":
                body = True
            elif match and match[1]:
                names.append(match[1].strip().lower())
            elif match:
                everything = True
            else:
                raise BadRequestError(
                    f"upstash-redact-fields: {word!r} is neither body,"
                    " header nor header[Name]"
                )
        return Redaction(
            body=body, all_headers=everything, headers=tuple(names)
        )

    def callback(self, prefix: str, pairs: Pairs) -> CallbackOptions | None:
        if not self.text(prefix):
            return None
        if self.duration(f"{prefix}-delay"):
            # Refused since March 2025; the text is ours (choice 33).
            raise BadRequestError(f"{prefix}-delay: a callback has no delay")
        return CallbackOptions(
            url=check_url(self.text(prefix), f"{prefix}: invalid url"),
            method=self.method(f"{prefix}-method"),
            headers=_prefixed(pairs, f"{prefix}-forward-"),
            retries=self.number(f"{prefix}-retries"),
            timeout=self.duration(f"{prefix}-timeout", fractions=True),
            retry_delay=self.expression(f"{prefix}-retry-delay"),
        )


def _forwarded(pairs: Pairs, named: dict[str, str]) -> Pairs:
    forwarded = _prefixed(pairs, "upstash-forward-")
    if named.get("upstash-header-forward", "").lower() == "true":
        taken = {name.lower() for name, _ in forwarded}
        forwarded += tuple(
            (name, value.strip())
            for name, value in pairs
            if name.lower() not in NOT_FORWARDED | taken
            and not name.lower().startswith("upstash-")
        )
    if named.get("content-type"):
        return (("Content-Type", named["content-type"]), *forwarded)
    return forwarded


def _prefixed(pairs: Pairs, prefix: str) -> Pairs:
    """Return the headers that start with `prefix`, without it."""
    cut = len(prefix)
    return tuple(
        (check_field_name(name[cut:]), value.strip())
        for name, value in pairs
        if name.lower().startswith(prefix) and name[cut:].lower() not in SYSTEM
    )


def _check_served(name: str) -> None:
    """Refuse them: dropped, they would be missing in each later delivery."""

    if WORKFLOW.match(name):
        raise UnservedError(
            f"{name}: Upstash Workflow is not served here, which would lose"
            " the steps of its runs; this server speaks QStash only. Set"
            " QSTASH_URL to Upstash, or to its own development server"
        )


def _check_value(name: str, value: str) -> None:
    if FORBIDDEN.search(value):
        raise BadRequestError(f"{name}: control characters are not allowed")


def _flow_number(name: str, value: str) -> int:
    if name == "period":
        return _period(value)
    if name not in ("parallelism", "rate"):
        raise BadRequestError(
            f"upstash-flow-control-value: {name!r} is neither parallelism,"
            " rate nor period"
        )
    if not FLOW_NUMBER.fullmatch(value) or int(value) == 0:
        raise BadRequestError(
            f"upstash-flow-control-value: {name} {value!r} is not a"
            " number from 1 up"
        )
    return int(value)


def _period(value: str) -> int:
    text = f"{value}s" if INTEGER.fullmatch(value) else value
    milliseconds = parse_duration(text)
    if not milliseconds or milliseconds > 7 * DAY:
        raise BadRequestError(
            f"upstash-flow-control-value: period {value!r} is not between"
            " 1s and 7d"
        )
    return milliseconds // SECOND


def _pairs(data: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in data)
