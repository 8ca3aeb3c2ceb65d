"""Answers of people, and the forms, serializers and types that check them."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.forms import BaseForm
from django.http import QueryDict

from django_hookflow.exceptions import InvalidAnswer

ANSWER_ANY = "django_hookflow.answer_any_question"
GENERAL = "__all__"  # the field of errors that belong to none, as in forms


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question, as the workflow function gets it."""

    data: Any  # as its form, serializer or type returned it
    answered_by: str  # the key of a user, as text
    answered_at: datetime


def path_of(form: object) -> str | None:
    """Return the path by which a form can be imported; None if it cannot."""
    module = getattr(form, "__module__", None)
    path = f"{module}:{getattr(form, '__qualname__', None)}"
    try:
        return path if pkgutil.resolve_name(path) is form else None
    except (ValueError, ImportError, AttributeError):
        return None


def validated(path: str, data: Any) -> Any:
    """Return data as the form of a path has cleaned it; "" takes all.

    Raises InvalidAnswer with the errors by field.
    """
    if not path:
        return _plain(data)
    try:
        form = pkgutil.resolve_name(path)
    except (ImportError, AttributeError) as error:
        raise ImproperlyConfigured(
            f"The form {path!r} of a question cannot be imported: {error}. "
            "Deploy code that has it, or cancel the run that asks."
        ) from error
    if isinstance(form, type) and issubclass(form, BaseForm):
        return _by_form(form(_given(data)))
    if hasattr(form, "run_validation"):
        return _by_serializer(form(data=_given(data)))
    return _by_type(form, _plain(data))


def _plain(data: Any) -> Any:
    """Return the data of a posted page as a dict, and all else as it is."""
    if not isinstance(data, QueryDict):
        return data
    return {k: v for k, v in data.items() if k != "csrfmiddlewaretoken"}


def _given(data: Any) -> Any:
    """Return data for a form: what is not a mapping has no field."""
    return data if isinstance(data, Mapping) else {}


def _by_form(form: Any) -> Any:
    if form.is_valid():
        return form.cleaned_data
    raise InvalidAnswer(
        {field: [*map(str, errors)] for field, errors in form.errors.items()}
    )


def _by_serializer(serializer: Any) -> Any:
    if serializer.is_valid():
        return dict(serializer.validated_data)
    raise InvalidAnswer(
        {
            field: [*map(str, errors)]
            if isinstance(errors, list)
            else [str(errors)]
            for field, errors in serializer.errors.items()
        }
    )


def _by_type(kind: Any, data: Any) -> Any:
    # Only questions with such a type need it.
    from pydantic import TypeAdapter
    from pydantic import ValidationError

    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as invalid:
        errors: dict[str, list[str]] = {}
        for error in invalid.errors():
            field = ".".join(map(str, error["loc"])) or GENERAL
            errors.setdefault(field, []).append(error["msg"])
        raise InvalidAnswer(errors) from None
