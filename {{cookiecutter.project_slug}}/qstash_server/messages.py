"""Values of a message's life cycle: draft, delivery, response, attempt."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field

from .models import Kind
from .options import Options
from .options import Pairs


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A message that is not stored yet. Times are Unix milliseconds."""

    message_id: str
    account: str
    url: str
    body: bytes
    options: Options
    max_retries: int
    created_at: int
    not_before: int
    kind: Kind = Kind.MESSAGE
    caller_ip: str = ""
    topic_name: str = ""
    endpoint_name: str = ""
    queue_name: str = ""
    schedule_id: str = ""
    deduplication_key: str = ""  # "": never a duplicate
    place: int | None = None  # the queue it already holds a place in
    source: int | None = None  # the key of the message that holds it too


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One attempt that the dispatcher has claimed."""

    pk: int
    message_id: str
    account: str
    kind: Kind
    url: str
    body: bytes
    options: Options
    retried: int
    max_retries: int
    created_at: int
    not_before: int
    caller_ip: str
    topic_name: str
    endpoint_name: str
    schedule_id: str
    lanes: tuple[int, ...] = ()  # the queue and the flow key it came through


@dataclass(frozen=True)
class Response:
    """The response of the destination."""

    status: int
    headers: Pairs = ()
    body: bytes = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """Return the first value of a header, by its name in lower case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


NO_RESPONSE = Response(0)  # the status that callbacks and dead letters show


@dataclass(frozen=True)
class Attempt:
    """The end of a delivery; without a response, `error` says why."""

    delivery: Delivery
    response: Response = field(default=NO_RESPONSE)
    error: str = ""
