"""Errors of the engine as answers: a status, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework import exceptions as http
from rest_framework import status
from rest_framework.parsers import JSONParser

from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.exceptions import AnswerNotAllowed
from django_hookflow.exceptions import EventConflict
from django_hookflow.exceptions import HookflowError
from django_hookflow.exceptions import InvalidAnswer
from django_hookflow.exceptions import InvalidData
from django_hookflow.exceptions import QuestionClosed
from django_hookflow.exceptions import QuestionNotFound
from django_hookflow.exceptions import RunBusy
from django_hookflow.exceptions import RunConflict
from django_hookflow.exceptions import RunNotFound

MISSING = (RunNotFound, QuestionNotFound)
TAKEN = (RunConflict, EventConflict, AlreadyReplayed, QuestionClosed, RunBusy)
WHOLE = "detail"  # the field of errors that belong to none


class Conflict(http.APIException):
    """The request is against what was done before."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class BoundedJSONParser(JSONParser):
    """JSON; nesting without end is the sender's error, not the site's."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise http.ParseError("The JSON is nested too deeply.") from error


@contextmanager
def refusals(field: str = WHOLE) -> Iterator[None]:
    """Turn what the engine refuses into an answer.

    `field`: the one that a wrong value came from.
    """
    try:
        yield
    except HookflowError as error:
        raise _answer(error, field) from error
    except RecursionError as error:
        raise http.ValidationError(
            {field: ["It is nested too deeply."]}
        ) from error
    except ValueError as error:
        raise http.ValidationError({field: [str(error)]}) from error


def _answer(error: HookflowError, field: str) -> http.APIException:
    if isinstance(error, MISSING):
        return http.NotFound(str(error))
    if isinstance(error, TAKEN):
        return Conflict(str(error))
    if isinstance(error, AnswerNotAllowed):
        return http.PermissionDenied(str(error))
    if isinstance(error, InvalidAnswer | InvalidData):
        return http.ValidationError({field: error.errors})
    if field == WHOLE:
        return http.ValidationError({WHOLE: str(error)})
    return http.ValidationError({field: [str(error)]})
