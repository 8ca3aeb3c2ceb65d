"""Shared by all pages: how they are drawn, and how they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from typing import NoReturn
from typing import cast

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http import HttpResponse
from django.http import HttpResponseBase
from django.http import QueryDict
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import get_conditional_response
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.exceptions import NotAuthenticated
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import FormParser
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import StaticHTMLRenderer
from rest_framework.request import Request
from rest_framework.views import set_rollback

from django_hookflow.contrib.api.base import ApiViewSet
from django_hookflow.contrib.api.errors import Conflict
from django_hookflow.contrib.api.filters import Query

# Fields of errors whose name says nothing to people.
UNNAMED = ("detail", "non_field_errors", "__all__")

# What an action answers when it cannot be done as it was asked.
REFUSALS = (ValidationError, Conflict)

Done = tuple[str, str]  # what was done, and the address of the next page


class AnyNegotiation(DefaultContentNegotiation):
    """A page is HTML, whatever the client would like."""

    def select_renderer(
        self,
        request: Request,
        renderers: Any,
        format_suffix: str | None = None,
    ) -> Any:
        return renderers[0], renderers[0].media_type


class PageViewSet(ApiViewSet):
    """A page for people, with the rules of the API."""

    authentication_classes = (SessionAuthentication,)
    content_negotiation_class = AnyNegotiation
    parser_classes = (FormParser, MultiPartParser)  # type: ignore[assignment]
    renderer_classes = (StaticHTMLRenderer,)
    http_method_names: Sequence[str] = ("get", "head", "post")
    via = "dashboard"
    tab = ""  # of the navigation

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # Whether a run is there or not, who is not logged in may do that.
        if request.user.pk is None and self.gate.workflows() is None:
            self.permission_denied(request)

    @property
    def http(self) -> HttpRequest:
        """The request as Django has it."""
        found: HttpRequest = self.request._request
        return found

    @property
    def posted(self) -> QueryDict:
        """The fields of a form that was sent."""
        return cast("QueryDict", self.request.data)

    def show(
        self, name: str, context: Mapping[str, Any], status: int = 200
    ) -> HttpResponseBase:
        """Return a page, or 304 when the browser has the same."""
        token = get_token(self.http)
        text = render_to_string(
            f"hookflow_dashboard/{name}.html",
            {"tab": self.tab, **context, "csrf_token": token},
            self.http,
        )
        # The token is another one in each answer, and means the same.
        same = text.replace(token, "").encode(errors="backslashreplace")
        etag = f'W/"{sha256(same).hexdigest()[:32]}"'
        # A value may hold a lone surrogate, for which UTF-8 has no bytes.
        response = HttpResponse(
            text.encode(errors="backslashreplace"),
            status=status,
            headers={"ETag": etag, "Cache-Control": "private, no-store"},
        )
        if status != 200:
            return response
        found = get_conditional_response(
            self.http, etag=etag, response=response
        )
        return found or response

    def acted(
        self,
        do: Callable[[], Done],
        again: Callable[[int, list[str]], HttpResponseBase],
    ) -> HttpResponseBase:
        """Do something, and go to the next page.

        `again`: draws the page with the status and the sentences of a
        refusal.
        """
        try:
            said, where = do()
        except REFUSALS as error:
            return again(error.status_code, [*sentences(error.detail)])
        messages.success(self.http, said)
        return redirect(where)

    def handle_exception(self, exc: Exception) -> Any:
        """Return a page that says why there is no other."""
        if isinstance(exc, NotAuthenticated):
            is_page = self.http.method in ("GET", "HEAD")
            after = self.http.get_full_path() if is_page else self.home()
            return redirect_to_login(after)
        if not isinstance(exc, APIException):
            raise exc
        set_rollback()
        found = self.show(
            "refused",
            {
                "problems": [*sentences(exc.detail)],
                "status": exc.status_code,
            },
            exc.status_code,
        )
        seconds = getattr(exc, "wait", None)  # of Throttled
        if seconds is not None:
            found.headers["Retry-After"] = str(seconds)
        return found

    def home(self) -> str:
        return reverse("hookflow_dashboard:runs")


def asked(request: Request, kind: type[Query]) -> dict[str, Any]:
    """Return the parameters of a page; raises ValidationError.

    A form sends its empty fields, too: they are as if not there.
    """
    given = {
        name: value
        for name, value in request.query_params.dict().items()
        if value
    }
    checked = kind(data=given)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def older(request: Request, cursor: str | None) -> str | None:
    """Return the query of the next page of a list."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query.pop("offset", None)
    query["cursor"] = cursor
    return str(query.urlencode())


def sentences(detail: Any, field: str = "") -> Iterator[str]:
    """Yield what an error of the API says, with the field it is about."""
    if isinstance(detail, Mapping):
        for name, value in detail.items():
            yield from sentences(value, "" if name in UNNAMED else str(name))
    elif isinstance(detail, list | tuple):
        for value in detail:
            yield from sentences(value, field)
    else:
        yield f"{field}: {detail}" if field else str(detail)


def json_of(text: str, field: str) -> Any:
    """Return the JSON in a field of a form, None for an empty one.

    Raises ValidationError.
    """
    if not text.strip():
        return None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValidationError(
            {field: ["The JSON is nested too deeply."]}
        ) from error
    except ValueError as error:
        raise ValidationError(
            {field: [f'Invalid JSON: {error}. Write it like {{"order": 7}}.']}
        ) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
