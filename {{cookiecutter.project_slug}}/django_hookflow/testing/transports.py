"""Tests of the promises that every transport keeps.

A transport is right when its subclass of one of these classes passes:

    class TestPigeon(TransportTests):
        path = "shop.transports.Pigeon"

        def arrivals(self) -> list[Arrival]:
            return [Arrival(note.delivery, note.due) for note in loft]

TransportTests is for all of them, SignedTransportTests for those that derive
from SignedTransport, and RemoteTransportTests for those that can fail to
send. No test needs a database: a transport knows nothing of runs.
"""

from __future__ import annotations

import base64
import hmac
import json
from abc import ABC
from abc import abstractmethod
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import ClassVar
from typing import cast

import jwt
import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from django_hookflow import clock
from django_hookflow.delivery import Delivery
from django_hookflow.exceptions import InvalidDelivery
from django_hookflow.exceptions import TransportError
from django_hookflow.transports import get_transport
from django_hookflow.transports.base import task_url
from django_hookflow.transports.base import webhook_url
from django_hookflow.transports.signature import PUBLIC_KEYS
from django_hookflow.transports.signature import body_hash
from django_hookflow.transports.signed import KEYS
from django_hookflow.transports.signed import SignedTransport

SECOND = timedelta(seconds=1)

# Workflow ids that are hard to put into an address.
ODD_IDS = ("process-order", "<a b>", "Größe 100%", "a?b#c&d", "名", "x" * 200)

DELAYS = (
    timedelta(seconds=-5),
    timedelta(0),
    timedelta(seconds=1.2),
    timedelta(seconds=90),
    timedelta(days=6),
    timedelta(days=30),
    timedelta(days=400),
)

# Bodies that can never be a delivery to the workflow "w".
MALFORMED = (
    b"",
    b"\xff",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"run_id": 1, "workflow_id": "w", "token": "t"}',
    b'{"run_id": "r", "workflow_id": "another", "token": "t"}',
    *(
        json.dumps(
            {"run_id": "r", "workflow_id": "w", "token": "t", name: text}
        ).encode()
        for name in ("run_id", "workflow_id", "token")
        for text in ("a\0b", "\ud800")
    ),
)

# Changed claims, and the reason for which they are refused.
WRONG_CLAIMS = (
    ({"iss": "Upsta"}, "'Upsta'"),
    ({"iss": "\ud800"}, r"'\ud800'"),
    ({"sub": None}, "None"),
    ({"sub": "http://evil.example/"}, "'http://evil.example/'"),
    ({"sub": "\ud800"}, r"'\ud800'"),
    ({"body": None}, "The body is not the one that was signed"),
    ({"body": "x"}, "The body is not the one that was signed"),
    ({"body": "ü"}, "The body is not the one that was signed"),
    ({"body": "\ud800"}, "The body is not the one that was signed"),
    ({"exp": None}, "not a number of seconds"),
    ({"exp": "soon"}, "not a number of seconds"),
    ({"exp": True}, "not a number of seconds"),
    ({"exp": 10**400}, "not a number of seconds"),
    ({"nbf": "soon"}, "not a number of seconds"),
    ({"nbf": 10**400}, "not a number of seconds"),
    ({"nbf": -(10**400)}, "not a number of seconds"),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery as it came out of a transport, and when it did."""

    delivery: Delivery
    due: datetime  # aware


@dataclass(frozen=True, slots=True)
class Post:
    """A message as it comes to the site by HTTP, and when it does."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    due: datetime  # aware

    def request(self, **environ: Any) -> HttpRequest:
        """Return it as a view sees it."""
        made: HttpRequest = RequestFactory().post(
            "/" + self.url.split("/", 3)[3],
            self.body,
            content_type="application/json",
            headers=dict(self.headers),
            **environ,
        )
        return made


def delivery(**changes: Any) -> Delivery:
    """Return a delivery to the workflow "w"."""
    fields = {"run_id": "r", "workflow_id": "w", "token": "t"}
    return Delivery(**(fields | changes))


class TransportTests(ABC):
    """The promises of `Transport`.

    Subclasses name the class, and return what arrives.
    """

    path: ClassVar[str]
    # The longest time it holds a message back; None is without a limit.
    # A message that is due later arrives then, and the engine sends another.
    longest_hop: ClassVar[timedelta | None] = None

    now: datetime

    @abstractmethod
    def arrivals(self) -> list[Arrival]:
        """Return all that was sent in this test, in any order."""

    @pytest.fixture(autouse=True)
    def site(self, settings: Any) -> Iterator[None]:
        """Use the transport in a site whose clock stands still."""
        settings.DJANGO_HOOKFLOW_TRANSPORT = self.path
        self.settings = settings
        self.now = datetime.now(UTC).replace(microsecond=500_000)
        with clock.source(lambda: self.now):
            yield

    def send(self, message: Delivery) -> None:
        get_transport().send(message)

    def test_there_is_one_object_of_it_in_a_process(self) -> None:
        assert get_transport() is get_transport()

    @pytest.mark.parametrize("workflow_id", ODD_IDS)
    def test_a_delivery_arrives_as_it_was_sent(self, workflow_id: str) -> None:
        sent = delivery(run_id="run 1/ü", workflow_id=workflow_id)

        self.send(sent)

        assert [one.delivery for one in self.arrivals()] == [sent]

    @pytest.mark.parametrize("delay", DELAYS, ids=str)
    def test_a_delivery_arrives_when_it_is_due_or_after_a_hop(
        self, delay: timedelta
    ) -> None:
        sent_at = self.now

        self.send(delivery(not_before=sent_at + delay))

        (arrival,) = self.arrivals()
        limit = self.longest_hop
        hop = delay if limit is None else min(delay, limit)
        assert arrival.due >= sent_at + hop
        assert arrival.due <= sent_at + max(delay, timedelta(0)) + SECOND

    def test_a_repeated_message_of_the_sweeper_arrives_too(self) -> None:
        self.send(delivery())
        self.send(delivery(repeat=1))
        self.send(delivery(repeat=2))

        assert len(self.arrivals()) == 3

    def test_threads_may_send_at_the_same_time(self) -> None:
        run_ids = [f"r{number}" for number in range(24)]

        with ThreadPoolExecutor(8) as pool:
            messages = [delivery(run_id=i, token=i) for i in run_ids]
            list(pool.map(self.send, messages))

        arrived = [one.delivery.run_id for one in self.arrivals()]
        assert sorted(arrived) == sorted(run_ids)

    def test_a_site_that_is_configured_has_no_problems(self) -> None:
        assert get_transport().check() == []
        assert get_transport().trouble() == ""


class RemoteTransportTests(TransportTests):
    """The promises of transports that send over a network."""

    @abstractmethod
    def disconnect(self) -> None:
        """Make sending impossible, by settings."""

    def test_a_message_that_is_not_surely_sent_is_a_transport_error(
        self,
    ) -> None:
        self.disconnect()

        with pytest.raises(TransportError) as caught:
            self.send(delivery())

        self._assert_no_secret(str(caught.value))

    def test_it_says_what_the_trouble_is(self) -> None:
        self.disconnect()

        trouble = get_transport().trouble()

        assert trouble
        self._assert_no_secret(trouble)

    def _assert_no_secret(self, text: str) -> None:
        for name in ("QSTASH_TOKEN", *KEYS):
            secret = getattr(self.settings, name)
            assert not secret or secret not in text


class SignedTransportTests(TransportTests):
    """The promises of `SignedTransport`.

    Its messages come by HTTP, and only genuine ones are let in.
    """

    @abstractmethod
    def posts(self) -> list[Post]:
        """Return all that was sent in this test as it comes to the site."""

    def arrivals(self) -> list[Arrival]:
        return [Arrival(self.receive(post), post.due) for post in self.posts()]

    def receive(
        self,
        post: Post,
        workflow_id: str | None = None,
        after: timedelta = timedelta(0),
        **environ: Any,
    ) -> Delivery:
        """Let a message in, when it is due or some time after."""
        if workflow_id is None:
            workflow_id = json.loads(post.body)["workflow_id"]
            assert post.url == webhook_url(workflow_id)
        with clock.source(lambda: post.due + after):
            return self.transport.receive(post.request(**environ), workflow_id)

    def refusal(self, post: Post, **how: Any) -> InvalidDelivery:
        """Return the error with which a message is refused."""
        with pytest.raises(InvalidDelivery) as caught:
            self.receive(post, **({"workflow_id": "w"} | how))
        return caught.value

    def assert_refused(self, post: Post, reason: str = "", **how: Any) -> None:
        error = self.refusal(post, **how)

        assert error.status == 401
        assert reason in str(error)

    @property
    def transport(self) -> SignedTransport:
        return cast(SignedTransport, get_transport())

    def genuine(self) -> Post:
        """Return a message to the workflow "w" as the transport posts it."""
        self.send(delivery())
        (post,) = self.posts()
        return post

    def signed(
        self,
        body: bytes,
        /,
        *,
        url: str = "",
        key: str = "",
        algorithm: str = "HS256",
        **changes: Any,
    ) -> Post:
        """Return a message that is signed with changed claims.

        A claim that is None is left out.
        """
        url = url or webhook_url("w")
        key = key or self.settings.QSTASH_CURRENT_SIGNING_KEY
        now = int(self.now.timestamp())
        claims = {
            "aud": "",
            "body": body_hash(body),
            "exp": now + 300,
            "iat": now,
            "iss": "Upstash",
            "jti": "jwt_1",
            "nbf": -62_135_596_800,
            "sub": url,
        } | changes
        token = jwt.encode(
            {k: value for k, value in claims.items() if value is not None},
            None if algorithm == "none" else key,
            algorithm=algorithm,
        )
        return Post(url, body, {"Upstash-Signature": token}, self.now)

    def seconds(self, from_now: float) -> int:
        return int(self.now.timestamp() + from_now)

    def test_the_transport_is_a_signed_one(self) -> None:
        assert isinstance(get_transport(), SignedTransport)

    def test_a_message_of_the_transport_is_let_in_until_it_expires(
        self,
    ) -> None:
        post = self.genuine()

        assert self.receive(post) == delivery()
        assert self.receive(post, after=timedelta(minutes=4)) == delivery()
        expired = self.refusal(post, after=timedelta(minutes=6))
        assert (expired.status, expired.kind) == (401, "expired")

    def test_either_key_lets_a_message_in(self) -> None:
        body = delivery().encode()

        for name in KEYS:
            key = getattr(self.settings, name)
            assert self.receive(self.signed(body, key=key)) == delivery()

    def test_odd_but_genuine_claims_are_accepted(self) -> None:
        body = delivery().encode()
        few: dict[str, Any] = dict.fromkeys(("aud", "jti", "iat", "nbf"))

        for changes in (
            {"body": body_hash(body).rstrip("=")},
            {"nbf": self.seconds(-1000)},
            {"nbf": self.seconds(5)},
            {"exp": self.seconds(-5)},
            {"iat": self.seconds(3600)},
            few,
        ):
            assert self.receive(self.signed(body, **changes)) == delivery()

    @pytest.mark.parametrize(("changes", "reason"), WRONG_CLAIMS, ids=repr)
    def test_wrong_claims_are_refused_with_the_reason(
        self, changes: dict[str, Any], reason: str
    ) -> None:
        self.assert_refused(
            self.signed(delivery().encode(), **changes), reason
        )

    def test_messages_out_of_their_time_are_refused(self) -> None:
        body = delivery().encode()
        late = self.signed(body, exp=self.seconds(-60))
        early = self.signed(body, nbf=self.seconds(60))

        assert self.refusal(late).kind == "expired"
        self.assert_refused(late, "expired 60 seconds ago")
        self.assert_refused(early, "compare the clocks")

    def test_a_changed_message_is_refused(self) -> None:
        post = self.genuine()

        self.assert_refused(replace(post, body=post.body + b" "))
        (value,) = (
            value
            for name, value in post.headers.items()
            if name.lower() == "upstash-signature"
        )
        head, claims, seal = value.split(".")
        headers = {"Upstash-Signature": f"{head}.{claims}.{seal[::-1]}"}
        self.assert_refused(replace(post, headers=headers))

    @pytest.mark.parametrize("signature", [None, "", "no.jwt.this", "ü"])
    @pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{}", b"x" * 100_000])
    def test_an_unsigned_message_is_refused_whatever_it_holds(
        self, body: bytes, signature: str | None
    ) -> None:
        headers = {} if signature is None else {"Upstash-Signature": signature}

        self.assert_refused(Post(webhook_url("w"), body, headers, self.now))

    @pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
    def test_forged_messages_are_refused(self) -> None:
        body = delivery().encode()
        ours = "QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY"
        key = self.settings.QSTASH_CURRENT_SIGNING_KEY * 2

        self.assert_refused(self.signed(body, key="sig_wrong"), ours)
        self.assert_refused(self.signed(body, algorithm="none"), ours)
        for public in PUBLIC_KEYS:
            self.assert_refused(self.signed(body, key=public), ours)
        self.settings.QSTASH_CURRENT_SIGNING_KEY = key
        self.assert_refused(self.signed(body, algorithm="HS512"), ours)

    def test_without_any_key_no_message_is_believed(self) -> None:
        post = self.genuine()
        empty = self.signed(post.body, algorithm="none")
        for name in KEYS:
            setattr(self.settings, name, "")

        self.assert_refused(post, "No signing key is configured")
        self.assert_refused(empty, "No signing key is configured")

    @pytest.mark.parametrize("part", [0, 1])
    def test_a_token_with_deeply_nested_json_is_refused(
        self, part: int
    ) -> None:
        post = self.signed(delivery().encode())
        parts = post.headers["Upstash-Signature"].split(".")
        parts[part] = _base64(b"[" * 6000)
        key = self.settings.QSTASH_CURRENT_SIGNING_KEY.encode()
        signed = ".".join(parts[:2])
        seal = _base64(hmac.digest(key, signed.encode(), "sha256"))
        headers = {"Upstash-Signature": f"{signed}.{seal}"}

        self.assert_refused(replace(post, headers=headers))

    def test_a_message_to_another_address_is_refused(self) -> None:
        post = self.genuine()
        elsewhere = self.signed(post.body, url="http://localhost/hookflow/")

        self.assert_refused(post, workflow_id="another")
        self.assert_refused(elsewhere)
        self.assert_refused(elsewhere, HTTP_HOST="localhost")

    def test_the_host_of_the_request_does_not_matter(self) -> None:
        post = self.genuine()

        assert self.receive(post, HTTP_HOST="evil.example") == delivery()

    @pytest.mark.parametrize("body", MALFORMED, ids=lambda it: repr(it[:60]))
    def test_a_signed_body_that_is_not_a_delivery_is_refused_for_good(
        self, body: bytes
    ) -> None:
        error = self.refusal(self.signed(body))

        assert (error.status, error.kind) == (489, "malformed")

    def test_an_oversized_message_is_refused_unread(self) -> None:
        post = self.genuine()
        self.settings.DJANGO_HOOKFLOW_MAX_BODY = 10

        error = self.refusal(post)

        assert (error.status, error.kind) == (413, "oversized")

    def test_a_length_that_is_not_a_number_is_an_empty_body(self) -> None:
        self.assert_refused(self.genuine(), CONTENT_LENGTH="many")

    def test_a_body_that_a_middleware_has_read_is_let_in(self) -> None:
        post = self.genuine()
        request = post.request()
        assert request.body == post.body

        assert self.transport.receive(request, "w") == delivery()

    def test_a_body_that_cannot_be_read_again_is_refused(self) -> None:
        request = self.genuine().request()
        request.read()

        with pytest.raises(InvalidDelivery) as caught:
            self.transport.receive(request, "w")

        assert (caught.value.status, caught.value.kind) == (401, "unreadable")

    def test_a_task_is_let_in_at_its_own_address_only(self) -> None:
        post = self.signed(b'{"every": 60}', url=task_url("sweep"))
        receive = self.transport.receive_task

        assert receive(post.request(), "sweep") == post.body
        with pytest.raises(InvalidDelivery):
            receive(post.request(), "cleanup")
        with pytest.raises(InvalidDelivery):
            receive(replace(post, headers={}).request(), "sweep")
        with pytest.raises(InvalidDelivery):
            receive(self.signed(post.body).request(), "sweep")

    @pytest.mark.parametrize("name", ["DJANGO_HOOKFLOW_DOMAIN", *KEYS])
    def test_a_setting_that_is_missing_is_a_problem_with_a_cure(
        self, name: str
    ) -> None:
        setattr(self.settings, name, "")

        (found,) = self.transport.check()

        assert found.msg.startswith(f"{name} is not configured")
        assert found.hint
        assert found.id


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
