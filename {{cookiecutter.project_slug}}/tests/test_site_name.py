"""The pages show the name that the owner gave the site."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.conf import settings as ours
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from django.utils.html import escape
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

NAME = "Bücher & <b>"
SHOWN = "Bücher &amp; &lt;b&gt;"


@api_view()
def books(request: Request) -> Response:
    return Response([])


def breaks(request: HttpRequest) -> None:
    raise OSError("broken")


class Pages:
    """The addresses of a site with a page of the API, and one that breaks."""

    urlpatterns = [path("books/", books), path("page/", breaks)]  # noqa: RUF012


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("/nowhere/", "Nothing here"),
        ("/page/", "Something went wrong"),
        ("/books/", "Books"),
    ],
)
@pytest.mark.django_db
def test_a_page_has_the_name_of_the_site_in_title_and_text(
    settings: LazySettings, address: str, title: str
) -> None:
    settings.ROOT_URLCONF = Pages
    settings.SITE_NAME = NAME
    client = Client(raise_request_exception=False, headers={"Accept": "*/*"})

    page = client.get(f"{address}?format=api").content.decode()

    assert f"<title>{title} | {SHOWN}</title>" in page
    assert f">{SHOWN}</" in page.split("</title>")[1]
    assert "Django REST framework" not in page
    assert '<link rel="icon"' in page


def test_the_admin_is_headed_by_the_name_of_the_site(client: Client) -> None:
    page = client.get(f"/{ours.ADMIN_PATH}login/").content.decode()

    assert f"<title>Log in | {escape(ours.SITE_NAME)} admin</title>" in page
    assert f">{escape(ours.SITE_NAME)} administration</a>" in page
    assert '<link rel="icon"' in page


def test_the_name_is_a_line_of_a_file() -> None:
    text = (ours.BASE_DIR / "config" / "name.txt").read_text(encoding="utf-8")

    assert text == f"{ours.SITE_NAME}\n"
    assert ours.SITE_NAME.strip() == ours.SITE_NAME != ""
