"""The server answers all requests, and never with 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import quote
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from qstash import QStash

from qstash_server.options import METHODS
from qstash_server.router import TABLE
from qstash_server.server import Server
from qstash_server.target import AS_IS
from qstash_server.tests.conftest import TOKEN

SAFE = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

words = st.sampled_from(
    [
        "http://localhost/x",
        "http://127.0.0.1:9/?a=1",
        "http://[::1",
        "ftp://x",
        "name",
        "a b",
        "..",
        "%00",
        "%ff",
        "",
        "-1",
        "0",
        "5",
        "10s",
        "1e5",
        "9" * 30,
        "true",
        "* * * * *",
        f"{','.join(['0'] * 200)} * * * *",
        "rate=1,period=5s",
        "pow(2, retried)",
        "\u00fcmlaut",
        "pause",
        "1-1",
    ]
) | st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=20)
names = st.sampled_from(
    [
        "upstash-delay",
        "upstash-not-before",
        "upstash-retries",
        "upstash-retry-delay",
        "upstash-timeout",
        "upstash-method",
        "upstash-callback",
        "upstash-failure-callback",
        "upstash-callback-retries",
        "upstash-label",
        "upstash-flow-control-key",
        "upstash-flow-control-value",
        "upstash-deduplication-id",
        "upstash-content-based-deduplication",
        "upstash-redact-fields",
        "upstash-cron",
        "upstash-schedule-id",
        "upstash-queue-name",
        "upstash-header-forward",
        "upstash-forward-x",
        "content-type",
        "count",
        "cursor",
        "order",
        "state",
        "fromDate",
        "label",
        "messageIds",
        "dlqIds",
        "responseStatus",
        "rate",
        "parallelism",
        "period",
        "search",
    ]
)
# What JSON can spell and a header cannot: a NUL, half of a pair.
texts = words | st.sampled_from(["\0", "a\0b", "\ud800", "x" * 300])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "destination",
                    "queue",
                    "headers",
                    "body",
                    "queueName",
                    "parallelism",
                    "paused",
                    "endpoints",
                    "url",
                    "name",
                    "messageIds",
                    "dlqIds",
                    "label",
                    "count",
                    "Upstash-Delay",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
items = st.fixed_dictionaries(
    {"destination": st.just("http://localhost:9/")},
    optional={
        "headers": st.dictionaries(texts | names, texts, max_size=3),
        "body": texts,
        "queue": texts,
    },
)
endpoints = st.fixed_dictionaries({}, optional={"url": texts, "name": texts})
shaped = (
    st.lists(items, max_size=3)
    | st.fixed_dictionaries({"endpoints": st.lists(endpoints, max_size=2)})
    | st.fixed_dictionaries({"messageIds": st.lists(texts, max_size=2)})
    | st.fixed_dictionaries({"dlqIds": st.lists(texts, max_size=2)})
    | st.fixed_dictionaries(
        {"headers": st.dictionaries(names, texts, max_size=2)}
    )
)
bodies = st.binary(max_size=40) | (values | shaped).map(
    lambda value: json.dumps(value).encode()
)
headers = st.dictionaries(names, words, max_size=3).map(
    lambda pairs: [
        (name.encode(), value.strip().encode())
        for name, value in pairs.items()
    ]
)
queries = st.lists(st.tuples(names, words), max_size=3)


@st.composite
def targets(draw: st.DrawFn) -> tuple[str, str]:
    """A method and a path: an operation with its blanks filled in."""
    method, template, _ = draw(st.sampled_from(TABLE))
    path = template.replace("{*}", draw(words))
    while "{}" in path:
        path = path.replace("{}", draw(words), 1)
    return draw(st.sampled_from([method] * 5 + [*METHODS])), path


@pytest.fixture
def raw(server: Server) -> Iterator[HTTPConnection]:
    """A client that sends targets as they are."""
    connection = HTTPConnection(server.url.removeprefix("http://"))
    yield connection
    connection.close()


@pytest.fixture(autouse=True)
def known(client: QStash) -> None:
    """A group and a queue that the words hit now and then."""
    client.url_group.upsert_endpoints("name", [{"url": "http://localhost:9/"}])
    client.queue.upsert("name")


@SAFE
@given(target=targets(), query=queries, sent=headers, body=bodies)
def test_every_operation_answers_anything(
    raw: HTTPConnection,
    target: tuple[str, str],
    query: list[tuple[str, str]],
    sent: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    method, path = target

    raw.putrequest(method, f"{quote(path, safe=AS_IS)}?{urlencode(query)}")
    raw.putheader("Authorization", f"Bearer {TOKEN}")
    raw.putheader("Content-Length", str(len(body)))
    for name, value in sent:
        raw.putheader(name.decode(), value)
    raw.endheaders(body)
    answer = raw.getresponse()
    text = answer.read()

    assert answer.status < 500, text
    if answer.status >= 400:
        assert list(json.loads(text)) == ["error"]
