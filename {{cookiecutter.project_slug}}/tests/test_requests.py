"""Requests that no view can read, as anyone may send them."""

from __future__ import annotations

import importlib
import io
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

pytestmark = pytest.mark.django_db(transaction=True)

CHARSETS = ["bz2", "undefined", "idna", "punycode", "utf-16", "\0", "é", ""]
ODD = [
    *(f"text/html; charset={charset}" for charset in CHARSETS),
    "text/html; a*=nosuch''%41",
    "text/html; a*=undefined''%41",
    "text/html; charset*=utf-8''bz2",
    "text/html; a*0*=x''q; a*1=1",
    "multipart/form-data; boundary*=nosuch''b",
    "application/json; a*=nosuch''%41",
]


def answer_to(environ: dict[str, Any]) -> str:
    """Return the status line by which the WSGI application answers."""
    application = importlib.import_module("config.wsgi").application
    said: list[str] = []
    body = b"a=%41"
    application(
        {
            "REQUEST_METHOD": "GET",
            "QUERY_STRING": "a=%41",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            "REMOTE_ADDR": "127.0.0.1",
        }
        | environ,
        lambda status, *_: said.append(status),
    )
    return said[0]


@pytest.mark.parametrize("header", ["CONTENT_TYPE", "HTTP_ACCEPT"])
@pytest.mark.parametrize("odd", ODD)
def test_a_header_that_cannot_be_parsed_is_no_error_of_the_site(
    settings: LazySettings, header: str, odd: str
) -> None:
    settings.DEBUG = True  # the secrets of the tests are for tests
    settings.DEBUG_PROPAGATE_EXCEPTIONS = True
    seen = {
        answer_to({header: odd, "REQUEST_METHOD": method, "PATH_INFO": path})
        for method in ("GET", "POST")
        for path in ("/", "/hookflow/workflow/x/", "/admin/login/")
    }

    assert {status[0] for status in seen} <= {"2", "3", "4"}


@pytest.mark.parametrize(
    "path",
    [
        "/%00/",
        "/admin/?run_id=%00",
        "/admin/login/?next=%00",
        "/hookflow/workflow/%00/",
    ],
)
def test_a_nul_in_an_address_is_a_bad_request(path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code == 400
    assert "NUL" in answer.content.decode()


def test_a_nul_in_a_cookie_is_a_bad_request() -> None:
    cookie = 'sessionid="abcdefgh\\000"'  # what http.cookies reads as a NUL

    answer = Client().get("/admin/", headers={"Cookie": cookie})

    assert answer.status_code == 400
