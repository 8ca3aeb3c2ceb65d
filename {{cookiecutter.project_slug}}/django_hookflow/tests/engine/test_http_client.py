"""Bodies, errors, connections and log lines of the HTTP client."""

from __future__ import annotations

import logging
import socket
import zlib
from types import SimpleNamespace

import httpx
import pytest

from django_hookflow import bodies
from django_hookflow import http


def test_a_deflated_body_may_come_in_pieces() -> None:
    packed = zlib.compress(b"hello")

    for cut in range(1, len(packed)):
        pieces = [packed[:cut], packed[cut:]]
        assert bodies.joined(pieces, "deflate", 100) == b"hello"


def test_an_error_of_httpx_without_a_sentence_is_told_by_its_class() -> None:
    error = httpx.TooManyRedirects("at https://ada:secret@shop.example")

    assert http.safe_text(error) == "TooManyRedirects"


def test_a_connection_made_after_the_time_is_up_is_closed() -> None:
    ours, theirs = socket.socketpair()
    made = {"return_value": SimpleNamespace(get_extra_info=lambda _: ours)}
    clock_of_a_call = http._Clock()
    clock_of_a_call.end()

    clock_of_a_call("connection.connect_tcp.complete", made)
    ours.close()
    clock_of_a_call.end()  # closed already

    with theirs:
        assert theirs.recv(1) == b""


def test_a_log_line_of_httpx_may_have_named_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("httpx").error("%(one)s line", {"one": "a"})

    assert caplog.messages == ["a line"]
