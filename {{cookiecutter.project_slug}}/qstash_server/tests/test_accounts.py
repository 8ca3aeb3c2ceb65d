"""Tokens, keys, and rows of other accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from qstash import QStash
from qstash import Receiver
from qstash.errors import QStashError
from qstash.errors import SignatureError

from qstash_server.accounts import PUBLIC_USERS
from qstash_server.clock import ManualClock
from qstash_server.conf import Config
from qstash_server.models import Event
from qstash_server.server import Server
from qstash_server.tests.helpers import Destination
from qstash_server.tests.helpers import Received
from qstash_server.tests.helpers import until


def verifies(receiver: Receiver, received: Received) -> bool:
    try:
        receiver.verify(
            signature=received.headers["upstash-signature"],
            body=received.body.decode(),
        )
    except SignatureError:
        return False
    return True


def test_a_large_body_is_signed_as_a_small_one(
    client: QStash, destination: Destination, receiver: Receiver
) -> None:
    client.message.publish(url=destination.url, body="ü" * 1_500_000)

    (received,) = destination.wait_for(1)
    assert len(received.body) == 3_000_000
    assert verifies(receiver, received)


def test_rotation_moves_the_next_key_up(
    client: QStash,
    http: httpx.Client,
    destination: Destination,
    receiver: Receiver,
) -> None:
    before = client.signing_key.get()

    rotated = client.signing_key.rotate()

    assert rotated.current == before.next
    assert rotated.next not in (before.current, before.next)
    assert client.signing_key.get() == rotated
    client.message.publish(url=destination.url, body="once")
    assert verifies(receiver, destination.wait_for(1)[0])
    http.post("/v2/rotate").raise_for_status()
    client.message.publish(url=destination.url, body="twice")
    assert not verifies(receiver, destination.wait_for(2)[1])
    keys = client.signing_key.get()
    current = Receiver(keys.current, keys.next)
    assert verifies(current, destination.received[1])


def test_rotation_survives_a_restart_until_the_settings_change(
    transactional_db: None, config: Config, clock: ManualClock
) -> None:
    def keys(settings: Config) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {config.token}"}
        with Server(config=settings, clock=clock) as server:
            url = f"{server.url}/v2/keys"
            found: dict[str, str] = httpx.get(url, headers=headers).json()
            return found

    with Server(config=config, clock=clock) as server:
        rotated = httpx.post(
            f"{server.url}/v2/keys/rotate",
            headers={"Authorization": f"Bearer {config.token}"},
        ).json()
    changed = replace(config, current_key="sig_other", next_key="sig_new")

    assert keys(config) == rotated
    assert keys(changed) == {"current": "sig_other", "next": "sig_new"}


class TestPublicUsers:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, debug=True)

    @pytest.fixture
    def users(self, server: Server) -> Iterator[list[QStash]]:
        clients = [
            QStash(user.token, base_url=server.url) for user in PUBLIC_USERS
        ]
        yield clients
        for one in clients:
            one.http._client.close()

    def test_each_has_the_published_keys(self, users: list[QStash]) -> None:
        for client, user in zip(users, PUBLIC_USERS, strict=True):
            keys = client.signing_key.get()
            assert (keys.current, keys.next) == (
                user.keys.current,
                user.keys.next,
            )

    def test_each_signs_with_its_own_key(
        self, users: list[QStash], destination: Destination
    ) -> None:
        for n, client in enumerate(users):
            client.message.publish(url=destination.url, body=str(n))
        destination.wait_for(4)

        for n, user in enumerate(PUBLIC_USERS):
            receiver = Receiver(user.keys.current, user.keys.next)
            verified = [
                one.body.decode()
                for one in destination.received
                if verifies(receiver, one)
            ]
            assert verified == [str(n)]

    def test_rows_of_other_accounts_are_not_visible(
        self, users: list[QStash], client: QStash
    ) -> None:
        owner, *others = *users[1:], client
        message = owner.message.publish(url="http://localhost/", delay="1d")
        schedule = owner.schedule.create(
            destination="http://localhost/", cron="* * * * *"
        )
        owner.queue.upsert("q")
        owner.url_group.upsert_endpoints("g", [{"url": "http://localhost/"}])
        owner.flow_control.pause("k")

        for other in others:
            assert other.schedule.list() == other.queue.list() == []
            assert other.url_group.list() == other.log.list().logs == []
            assert other.message.cancel_all() == 0
            for look in (
                lambda o: o.message.get(message.message_id),
                lambda o: o.message.cancel(message.message_id),
                lambda o: o.schedule.get(schedule),
                lambda o: o.queue.get("q"),
                lambda o: o.url_group.get("g"),
                lambda o: o.flow_control.get("k"),
            ):
                with pytest.raises(QStashError, match="404"):
                    look(other)

    def test_dead_letters_and_duplicates_are_of_one_account(
        self, users: list[QStash], dead_url: str
    ) -> None:
        owner, other = users[:2]
        published = owner.message.publish(
            url=dead_url, retries=0, deduplication_id="one"
        )
        (letter,) = until(lambda: owner.dlq.list().messages)

        assert other.dlq.list().messages == []
        for look in (other.dlq.get, other.dlq.delete):
            with pytest.raises(QStashError, match="404"):
                look(letter.dlq_id)
        again = other.message.publish(
            url=dead_url, retries=0, deduplication_id="one"
        )
        assert not again.deduplicated
        assert again.message_id != published.message_id

    def test_project_may_use_a_public_token_in_debug(
        self, transactional_db: None, config: Config, clock: ManualClock
    ) -> None:
        public = replace(config, token=PUBLIC_USERS[0].token)

        with Server(config=public, clock=clock) as server:
            client = QStash(PUBLIC_USERS[0].token, base_url=server.url)
            assert client.signing_key.get().current == config.current_key
            client.http._client.close()

    def test_message_of_an_account_that_is_gone_is_given_up_unsigned(
        self,
        transactional_db: None,
        config: Config,
        clock: ManualClock,
        destination: Destination,
    ) -> None:
        with Server(config=config, clock=clock) as server:
            client = QStash(PUBLIC_USERS[1].token, base_url=server.url)
            client.message.publish(url=destination.url, delay="1h", retries=0)
            client.http._client.close()
        clock.advance(3600)

        with Server(config=replace(config, debug=False), clock=clock):
            until(lambda: Event.objects.filter(state="FAILED").exists())

        error = Event.objects.get(state="FAILED").error
        assert error == "account testUser1 does not exist any more"
        assert destination.received == []
