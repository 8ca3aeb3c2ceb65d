"""Find the operation of a method and raw path, and a token's account."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from django.db import DatabaseError
from django.db import DataError
from django.db import connections

from .accounts import Account
from .browsers import check_host
from .browsers import check_site
from .errors import ApiError
from .errors import BadRequestError
from .errors import UnauthorizedError
from .errors import UnknownPathError
from .handlers import dead_letters
from .handlers import flow_control
from .handlers import keys
from .handlers import logs
from .handlers import messages
from .handlers import publishing
from .handlers import queues
from .handlers import schedules
from .handlers import topics
from .limits import BurstLimit
from .listener import Request
from .pages import PageCall
from .pages import is_page
from .pages import page
from .replies import Reply
from .replies import failed
from .service import Call
from .service import Service
from .target import Target
from .target import parse_target

Handler = Callable[[Call], Reply]

logger = logging.getLogger(__name__)

# {} is one segment of the path, {*} all the rest.
TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/v2/publish/{*}", publishing.publish),
    ("POST", "/v2/enqueue/{*}", publishing.enqueue),
    ("POST", "/v2/batch", publishing.batch),
    ("GET", "/v2/messages/{}", messages.get),
    ("DELETE", "/v2/messages/{}", messages.cancel),
    ("DELETE", "/v2/messages", messages.cancel_many),
    ("POST", "/v2/queues", queues.upsert),
    ("GET", "/v2/queues", queues.list_all),
    ("GET", "/v2/queues/{}", queues.get),
    ("DELETE", "/v2/queues/{}", queues.delete),
    ("POST", "/v2/queues/{}/pause", queues.pause),
    ("POST", "/v2/queues/{}/resume", queues.resume),
    # Before creation, which takes any path as a destination.
    ("POST", "/v2/schedules/{}/pause", schedules.pause),
    ("PATCH", "/v2/schedules/{}/pause", schedules.pause),
    ("POST", "/v2/schedules/{}/resume", schedules.resume),
    ("PATCH", "/v2/schedules/{}/resume", schedules.resume),
    ("GET", "/v2/schedules", schedules.list_all),
    ("GET", "/v2/schedules/{}", schedules.get),
    ("DELETE", "/v2/schedules/{}", schedules.delete),
    ("POST", "/v2/schedules/{*}", schedules.create),
    ("GET", "/v2/topics", topics.list_all),
    ("GET", "/v2/topics/{}", topics.get),
    ("DELETE", "/v2/topics/{}", topics.delete),
    ("PATCH", "/v2/topics/{}", topics.set_headers),
    ("POST", "/v2/topics/{}/endpoints", topics.add_endpoints),
    ("DELETE", "/v2/topics/{}/endpoints", topics.remove_endpoints),
    ("GET", "/v2/flowControl", flow_control.list_all),
    ("GET", "/v2/flowControl/{}", flow_control.get),
    ("POST", "/v2/flowControl/{}/pause", flow_control.pause),
    ("POST", "/v2/flowControl/{}/resume", flow_control.resume),
    ("POST", "/v2/flowControl/{}/pin", flow_control.pin),
    ("POST", "/v2/flowControl/{}/unpin", flow_control.unpin),
    ("POST", "/v2/flowControl/{}/resetRate", flow_control.reset),
    ("POST", "/v2/flowControl/{}/reset", flow_control.reset),
    ("GET", "/v2/globalParallelism", flow_control.global_parallelism),
    ("GET", "/v2/dlq", dead_letters.list_all),
    ("DELETE", "/v2/dlq", dead_letters.delete_many),
    ("POST", "/v2/dlq/retry", dead_letters.retry_many),
    ("POST", "/v2/dlq/retry/{}", dead_letters.retry),
    ("GET", "/v2/dlq/{}", dead_letters.get),
    ("DELETE", "/v2/dlq/{}", dead_letters.delete),
    ("GET", "/v2/events", logs.list_all),
    ("GET", "/v2/logs", logs.list_all),
    ("GET", "/v2/keys", keys.get),
    ("POST", "/v2/keys/rotate", keys.rotate),
    ("POST", "/v2/rotate", keys.rotate),  # the path of qstash-go
)


FORM = 4096  # bytes of a form of the status page
UNLIMITED = (publishing.publish, publishing.enqueue, publishing.batch)


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler


def _compiled(template: str) -> re.Pattern[str]:
    text = re.escape(template).replace(r"\{\}", "([^/]+)")
    # qstash-go writes /v2/Schedules.
    text = text.replace("/v2/schedules", "/v2/[sS]chedules")
    return re.compile(text.replace(r"\{\*\}", "(.+)"))


ROUTES = tuple(
    Route(method, _compiled(template), handler)
    for method, template, handler in TABLE
)


@dataclass(frozen=True)
class Router:
    """Answers requests; errors become the answers of the API."""

    service: Service
    accounts: Mapping[str, Account]  # by token
    limit: BurstLimit

    def worth(self, request: Request) -> int:
        """Return how many bytes of the body to keep, by the head."""
        target = parse_target(request.target)
        if is_page(target.path):
            return FORM
        try:
            self._account(request, target)
        except UnauthorizedError:
            return 0
        return self.service.config.max_request

    def answer(self, request: Request) -> Reply:
        """Never raises: unexpected errors are logged and answered with 500."""
        try:
            return self._answer(request)
        except ApiError as error:
            return failed(error.status, error.text)
        except DataError as error:  # too long, or out of its range
            return failed(400, f"the database refuses a value: {error}")
        except DatabaseError as error:
            connections.close_all()
            logger.warning("The database does not answer: %s", error)
            return failed(503, "the database does not answer")
        except Exception:
            path = parse_target(request.target).path  # no qstash_token
            logger.exception("%s %s failed", request.method, path)
            return failed(500, "internal error")

    def _answer(self, request: Request) -> Reply:
        target = parse_target(request.target)
        if is_page(target.path):
            return page(PageCall(self.service, self.accounts, request, target))
        account = self._account(request, target)
        check_site(request)
        check_host(request, account.token, self.service.config.own_host)
        route, names = _find(request.method, target.path)
        call = Call(self.service, account.name, request, target, names)
        if route.handler in UNLIMITED:
            return route.handler(call)
        return self._limited(route.handler, call)

    def _limited(self, handler: Handler, call: Call) -> Reply:
        """Limit requests by second, but for publishing."""
        allowance = self.limit.take(call.account)
        if allowance.exceeded:
            reply = failed(429, "too many requests in this second")
        else:
            try:
                reply = handler(call)
            except ApiError as error:
                reply = failed(error.status, error.text)
        return reply.with_headers(allowance.headers())

    def _account(self, request: Request, target: Target) -> Account:
        scheme, _, token = request.header("authorization").partition(" ")
        if scheme.lower() != "bearer":
            token = dict(target.parameters()).get("qstash_token", "")
        account = self.accounts.get(token.strip())
        if account is None:
            raise UnauthorizedError
        return account


def _find(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is not None and route.method == method:
            return route, tuple(_name(part) for part in match.groups())
    raise UnknownPathError(method, path)


def _name(part: str) -> str:
    name = unquote(part)
    if "\0" in name:
        raise BadRequestError(f"{part}: a NUL is not allowed")
    return name
