"""The status page: waiting and failed messages, with buttons.

    http://127.0.0.1:8080/?qstash_token=…

The token moves into a cookie. In DEBUG a browser on this machine needs
none, but no other site may post: its Origin is not ours.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from http.cookies import CookieError
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from urllib.parse import urlsplit

from django.template import Context
from django.template import Engine

from .accounts import PROJECT
from .accounts import Account
from .errors import RefusedError
from .guard import is_loopback_name
from .listener import Request
from .models import DeadLetter
from .models import Event
from .models import Message
from .models import State
from .replies import Reply
from .service import Service
from .store import dead_letters
from .store import developer_actions
from .store import messages
from .target import Target

SHOWN = 50  # messages and dead letters on the page
HTML = ("Content-Type", "text/html; charset=utf-8")
POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'",
)
ENGINE = Engine(dirs=[str(Path(__file__).parent / "templates")])


@dataclass(frozen=True)
class PageCall:
    """A request of a browser."""

    service: Service
    accounts: Mapping[str, Account]
    request: Request
    target: Target

    @property
    def now(self) -> int:
        return self.service.clock.now()


def is_page(path: str) -> bool:
    return path == "/" or path.startswith("/status/")


def page(call: PageCall) -> Reply:
    """Answer with the page, the cookie, or the result of a button."""
    parameters = dict(call.target.parameters())
    token = parameters.get("qstash_token")
    if token in call.accounts:
        cookie = f"qstash_token={token}; Path=/; HttpOnly; SameSite=Strict"
        return _redirect(("Set-Cookie", cookie))
    account = _account(call)
    if call.request.method == "POST":
        _check_origin(call.request)
        _act(call, account)
        return _redirect()
    still = "still" in parameters
    return Reply(200, _render(account, call.now, still), (HTML, POLICY))


def _account(call: PageCall) -> str:
    account = call.accounts.get(_cookie(call.request))
    if account is not None:
        return account.name
    host = urlsplit(f"//{call.request.header('host')}").hostname or ""
    local = is_loopback_name(call.request.client) and is_loopback_name(host)
    if call.service.config.debug and local:
        return PROJECT
    raise RefusedError("open /?qstash_token=<QSTASH_TOKEN> once")


def _cookie(request: Request) -> str:
    try:
        morsel = SimpleCookie(request.header("cookie")).get("qstash_token")
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _check_origin(request: Request) -> None:
    """Refuse forms of other sites, by the Origin that browsers send."""
    origin = urlsplit(request.header("origin")).netloc
    if not origin or origin != request.header("host"):
        raise RefusedError("this form was not sent by the status page")


def _act(call: PageCall, account: str) -> None:
    """Do what a button says; an object deleted meanwhile is not an error."""
    action = ACTIONS.get(call.target.path.removeprefix("/status/"))
    form = dict(parse_qsl(call.request.body.decode("ascii", "replace")))
    if action is None:
        raise RefusedError("the page has no such button")
    action(account, form.get("id", "").replace("\0", ""), call.now)
    call.service.wake_dispatcher()


def _drop(account: str, message_id: str, now: int) -> None:
    wanted = Message.objects.filter(account=account, message_id=message_id)
    messages.cancel(wanted, now, 1)


def _retry(account: str, dlq_id: str, now: int) -> None:
    letters = dead_letters.letters_of(account).filter(dlq_id=dlq_id)
    dead_letters.retry(list(letters), now)


def _delete(account: str, dlq_id: str, now: int) -> None:
    letters = dead_letters.letters_of(account).filter(dlq_id=dlq_id)
    dead_letters.delete(list(letters))


ACTIONS: dict[str, Callable[[str, str, int], object]] = {
    "deliver": developer_actions.deliver_now,
    "double": developer_actions.deliver_twice,
    "drop": _drop,
    "retry": _retry,
    "delete": _delete,
}


def _redirect(*headers: tuple[str, str]) -> Reply:
    return Reply(303, b"", (("Location", "/"), *headers))


def _render(account: str, now: int, still: bool) -> bytes:
    """Render the page, which reloads itself unless it is `still`."""
    rows = Message.objects.filter(account=account).defer("body")
    letters = dead_letters.letters_of(account)
    context = {
        "still": still,
        "now": _time(now),
        "waiting": rows.filter(state=State.WAITING).count(),
        "active": rows.filter(state=State.ACTIVE).count(),
        "messages": [_shown(row, now) for row in rows.order_by("-pk")[:SHOWN]],
        "dead": letters.count(),
        "letters": [
            _shown_letter(letter) for letter in letters.order_by("-pk")[:SHOWN]
        ],
    }
    template = ENGINE.get_template("status.html")
    return template.render(Context(context)).encode()


def _shown(row: Message, now: int) -> dict[str, Any]:
    waits = row.state == State.WAITING
    events = Event.objects.filter(message=row)
    last = events.order_by("-pk").first()
    return {
        "id": row.message_id,
        "url": row.url,
        "method": row.options["method"],
        "state": row.state,
        "attempts": events.filter(state="ACTIVE").count(),
        "due": _time(row.due) if waits else "",
        "event": f"{last.state} {last.error}" if last else "",
        "actions": _actions(row, now),
    }


def _actions(row: Message, now: int) -> list[tuple[str, str]]:
    actions = []
    if row.state == State.WAITING and row.due > now:
        skipped = "Deliver now" if row.retried else "Skip the delay"
        actions.append(("deliver", skipped))
    if row.state in (State.WAITING, State.ACTIVE):
        actions.append(("drop", "Drop"))
    if row.state not in (State.CANCELED, State.FAILED):
        actions.append(("double", "Double"))
    return actions


def _shown_letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.dlq_id,
        "url": letter.message.url,
        "status": letter.response_status or "no answer",
    }


def _time(moment: int) -> str:
    then = datetime.fromtimestamp(moment / 1000, UTC)
    return then.strftime("%Y-%m-%d %H:%M:%S UTC")
