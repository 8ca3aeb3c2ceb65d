"""Requests by second."""

from __future__ import annotations

import time
from dataclasses import replace

import httpx
import pytest
from qstash import QStash
from qstash.errors import RateLimitExceededError

from qstash_server.conf import Config
from qstash_server.limits import Allowance
from qstash_server.limits import BurstLimit
from qstash_server.tests.helpers import until


def test_requests_are_counted_by_account_and_second() -> None:
    now = 100.0
    limit = BurstLimit(2, lambda: now)

    taken = [limit.take("a"), limit.take("a"), limit.take("a")]
    other = limit.take("b")
    now = 101.5

    assert [one.remaining for one in taken] == [1, 0, -1]
    assert [one.exceeded for one in taken] == [False, False, True]
    assert other == Allowance(2, 1, 101)
    assert limit.take("a") == Allowance(2, 1, 102)


def test_answers_tell_what_is_left(http: httpx.Client) -> None:
    answer = http.get("/v2/keys")

    assert answer.headers["burst-ratelimit-limit"] == "1000"
    assert 990 < int(answer.headers["burst-ratelimit-remaining"]) < 1000
    reset = int(answer.headers["burst-ratelimit-reset"])
    assert abs(reset - time.time()) < 60


def test_errors_tell_it_too_and_publishing_has_no_limit(
    http: httpx.Client,
) -> None:
    error = http.get("/v2/messages/unknown")
    published = http.post(
        "/v2/publish/http://localhost/", headers={"Upstash-Delay": "1d"}
    )

    assert error.headers["burst-ratelimit-limit"] == "1000"
    assert "burst-ratelimit-limit" not in published.headers


class TestLowLimit:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, burst_limit=1)

    def test_official_client_recognises_the_refusal(
        self, client: QStash
    ) -> None:
        def refusal() -> RateLimitExceededError | None:
            try:
                client.signing_key.get()
            except RateLimitExceededError as error:
                return error
            return None

        error = until(refusal)
        assert (error.limit, error.remaining) == ("1", "0")
