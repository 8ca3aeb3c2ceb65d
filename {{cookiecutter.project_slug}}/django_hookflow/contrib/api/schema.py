"""The shape of the API for OpenAPI."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

# Other addresses of the same views.
ALIASES = ("/api/graflow/", "/_api/")
API = "/api/"


def page_of(kind: type[Any], cursor: str = "next_cursor") -> Any:
    """Return the serializer of a page of rows."""
    fields: dict[str, Any] = {"results": kind(many=True)}
    if cursor == "next_cursor":
        fields["next"] = serializers.URLField(allow_null=True)
        fields[cursor] = serializers.CharField(allow_null=True)
    else:
        fields[cursor] = serializers.IntegerField(allow_null=True)
    name = kind.__name__.removesuffix("Serializer")
    made = inline_serializer(f"PageOf{name}", fields)
    # One for the list, not a list of them.
    return extend_schema_serializer(many=False)(type(made))


def of_the_api(endpoints: list[Any], **_: Any) -> list[Any]:
    """Describe each view below /api/ once: a hook of drf-spectacular."""
    return [
        one
        for one in endpoints
        if one[0].startswith(API) and not one[0].startswith(ALIASES)
    ]
