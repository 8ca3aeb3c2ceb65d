"""The pages for 404 and 500."""

from __future__ import annotations

import re

import pytest
from django.conf import LazySettings
from django.contrib.staticfiles import finders
from django.http import HttpRequest
from django.http import HttpResponse
from django.test import Client
from django.urls import path

# Nothing here may ask the database: what is shown must not need one.


def breaks(request: HttpRequest) -> HttpResponse:
    raise OSError(f"{request.path} is broken")


class Broken:
    """The addresses of a site whose only page breaks."""

    urlpatterns = [path("page/", breaks)]  # noqa: RUF012


@pytest.mark.parametrize(
    ("address", "status", "heading"),
    [
        ("/nowhere/", 404, "There is nothing here"),
        ("/page/", 500, "Something went wrong"),
    ],
)
def test_an_error_has_a_page_of_the_site(
    settings: LazySettings, address: str, status: int, heading: str
) -> None:
    settings.ROOT_URLCONF = Broken
    client = Client(raise_request_exception=False)

    answer = client.get(address)

    page = answer.content.decode()
    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in page
    assert "is broken" not in page
    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<style|style=", page)
    for sheet in re.findall(r'href="/static/([^"]+)"', page):
        assert finders.find(sheet)
