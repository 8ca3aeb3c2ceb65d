"""Attacks by a person who has read docs/security.md and the code."""

from __future__ import annotations

import re
import secrets
import socket
from logging.config import DictConfigurator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django_hookflow.serialization import dumps
from django_hookflow.serialization import loads
from django_hookflow.tests.http.stack import HOST
from django_hookflow.tests.http.stack import PROJECT

from project.production.stack import Production
from project.production.wire import Letter


def test_nobody_writes_a_line_of_their_own_into_the_log(
    site: Production,
) -> None:
    mark = len(site.text())
    mine = f"ERROR root: {secrets.token_hex(4)}"

    answer = site.fetch(
        f"/hookflow/workflow/x%0a{mine}%0d%0a/", "POST", content=b"{}"
    )

    assert answer.status_code == 401
    site.wait_for_line(
        "is refused: The header Upstash-Signature is missing", mark
    )
    assert [
        line for line in site.said_since(mark) if line.startswith(mine)
    ] == []


@pytest.mark.parametrize("path", ["workflow", "maintenance"])
def test_nobody_breaks_a_line_that_is_written_for_people(
    client: Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    formatter = DictConfigurator(settings.LOGGING).configure_formatter(
        settings.LOGGING["formatters"]["line"]
    )

    client.post(f"/hookflow/{path}/x%0amine%0d%e2%80%a8%1b[2K/")

    lines = [formatter.format(record) for record in caplog.records]
    assert "is refused" in lines[0]
    assert all(line.isprintable() for line in lines), lines


def test_a_message_in_chunks_is_no_way_around_the_limit(
    site: Production,
) -> None:
    """It has no length, so it is read up to the limit, even if signed."""
    mark = len(site.text())
    chunks = [b"x" * 1_000_000] * 20
    path = "/hookflow/workflow/errand/"
    genuine = Letter(
        url=f"{site.domain}{path}",
        key=site.environment["QSTASH_CURRENT_SIGNING_KEY"],
        body=b"".join(chunks),
    )

    answer = site.fetch(
        path, "POST", content=iter(chunks), headers=genuine.headers
    )

    assert answer.status_code == 413
    assert site.wait_for_line("DJANGO_HOOKFLOW_MAX_BODY allows", mark)


def test_a_second_request_hidden_in_the_first_is_refused(
    site: Production,
) -> None:
    """With two lengths, proxy and site might each use another."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    request = (
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"X-Forwarded-Proto: https\r\n"
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" % len(hidden)
    ) + hidden

    with socket.create_connection((HOST, site.site_port)) as sock:
        sock.settimeout(10)
        sock.sendall(request)
        answer = b"".join(iter(lambda: read(sock), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def read(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except (TimeoutError, ConnectionError):
        return b""


@pytest.mark.parametrize(
    "value",
    [
        {"$enum": ["os:system", "x"]},
        {"$dataclass": ["subprocess:Popen", {"args": "id"}]},
        {"$pydantic": ["os:system", {}]},
        {"$model": ["auth.user", "default", 1]},
        {"a": [{"$dict": [[1, {"$set": []}]]}]},
    ],
)
def test_data_that_looks_like_a_recorded_type_stays_data(
    value: object,
) -> None:
    assert loads(dumps(value, "The data")) == value


@pytest.mark.parametrize(
    ("method", "path", "status", "header", "asks"),
    [
        ("POST", "/sandbox/charges/", 401, "www-authenticate", "Bearer"),
        ("GET", "/admin/", 302, "location", "/admin/login/?next=/admin/"),
    ],
)
def test_what_is_not_for_everybody_asks_who_you_are(
    site: Production,
    method: str,
    path: str,
    status: int,
    header: str,
    asks: str,
) -> None:
    answer = site.fetch(path, method, json={})

    assert answer.status_code == status
    assert answer.headers[header] == asks


def test_metrics_without_a_token_of_their_own_are_not_there(
    site: Production,
) -> None:
    unknown = site.fetch("/there-is-no-such-page")

    answer = site.fetch("/metrics")

    assert answer.status_code == unknown.status_code == 404
    assert answer.text == unknown.text
    assert "hookflow_" not in answer.text


def test_the_address_of_an_order_cannot_be_chosen_by_a_header(
    site: Production,
) -> None:
    body = {
        "email": "ada@example.com",
        "card_number": "4242 4242 4242 4242",
        "lines": [{"sku": "TEA-02", "quantity": 1}],
    }

    answer = site.fetch(
        "/api/orders/",
        "POST",
        json=body,
        headers={"X-Forwarded-Host": "evil.example.com"},
    )

    assert answer.status_code == 201
    assert "evil" not in answer.text
    assert "evil" not in answer.headers["Location"]


def test_no_card_number_is_kept_or_logged(site: Production) -> None:
    order = {
        "email": "ada@example.com",
        "card_number": "4242 4242 4242 4242",
        "lines": [{"sku": "MUG-01", "quantity": 1}],
    }
    placed = site.fetch("/api/orders/", "POST", json=order)
    site.settle()

    kept = site.rows(
        "SELECT data || coalesce(result, '') "
        "FROM django_hookflow_workflowrun "
        "UNION ALL SELECT result FROM django_hookflow_stepexecution "
        "WHERE result IS NOT NULL"
    )

    assert placed.status_code == 201
    assert [row for row in kept if "4242" in row[0].replace(" ", "")] == []
    assert "4242 4242" not in site.text()
    assert "4242424242424242" not in site.text()


def test_no_secret_is_logged(site: Production) -> None:
    run_id = f"told-{secrets.token_hex(4)}"
    site.trigger("errand", [run_id])
    site.wait_until_completed([run_id])
    forged = site.fetch("/hookflow/workflow/errand/", "POST", content=b"{}")
    said = "".join(
        Path(log).read_text("utf-8") for log in site.folder.glob("*.log")
    )

    told = [name for name, value in site.secrets.items() if value in said]
    assert told == []
    assert forged.status_code == 401
    assert "is refused: The header Upstash-Signature is missing" in said
    assert run_id in said


def test_the_page_names_tests_that_exist() -> None:
    page = (PROJECT / "docs" / "security.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))

    written = {
        name
        for folder in (PROJECT, Path(__file__).parents[1])
        for file in folder.rglob("*.py")
        for name in re.findall(
            r"^ *def (test_\w+)", file.read_text("utf-8"), re.MULTILINE
        )
    }

    # The shop's tests go with the shop.
    assert named <= written or not (PROJECT / "orders").exists()
    assert named


def test_every_claim_of_the_page_names_its_test() -> None:
    page = (PROJECT / "docs" / "security.md").read_text("utf-8")

    rows = [line for line in page.splitlines() if line.startswith("| ")]
    tables = [row for row in rows if "Proof" in row]
    bare = [
        row
        for row in rows
        if "Proof" not in row and not re.search(r"`(test_\w+|make \w+)`", row)
    ]

    assert tables
    assert bare == []
