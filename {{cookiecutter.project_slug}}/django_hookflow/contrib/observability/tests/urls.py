"""The site with a page that breaks."""

from __future__ import annotations

from django.http import HttpRequest
from django.http import HttpResponse
from django.urls import path

from config.urls import urlpatterns as urls_of_the_site


def broken(request: HttpRequest) -> HttpResponse:
    return HttpResponse(1 / 0)


urlpatterns = [
    *urls_of_the_site,
    path("broken/", broken),
]
