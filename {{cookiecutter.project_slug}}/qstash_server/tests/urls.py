"""A site for `runserver`: it has one page."""

from __future__ import annotations

from django.http import HttpRequest
from django.http import HttpResponse
from django.urls import path


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the site")


urlpatterns = [path("", index)]
