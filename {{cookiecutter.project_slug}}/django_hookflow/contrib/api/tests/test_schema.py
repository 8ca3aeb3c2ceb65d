"""Answers have the shape that the schema gives them."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from django_hookflow.contrib.api.tests.conftest import V1
from django_hookflow.contrib.api.tests.test_flows import FLOWS
from django_hookflow.contrib.api.tests.test_flows import start
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Question
from django_hookflow.testing.world import World

DEFINITIONS = "#/components/schemas/"


@pytest.fixture(scope="module")
def schema() -> Any:
    return as_json_schema(SchemaGenerator().get_schema(public=True))


def as_json_schema(part: Any) -> Any:
    """Return OpenAPI 3.0 as JSON schema: null is a type of its own there.

    And a field that is not described is one too many.
    """
    if isinstance(part, list):
        return [as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: as_json_schema(one) for key, one in part.items()}
    if isinstance(made.get("properties"), dict) and "type" in made:
        made.setdefault("additionalProperties", False)
    if made.pop("nullable", False):
        return {"anyOf": [made, {"type": "null"}]}
    return made


def check(schema: Any, answer: Any, path: str, method: str = "get") -> None:
    """Compare an answer with that of its route and its status."""
    operation = schema["paths"][f"{V1}/{path}"][method]
    described = operation["responses"][str(answer.status_code)]
    (content,) = described["content"].values()
    jsonschema.validate(
        answer.json(), content["schema"] | {"components": schema["components"]}
    )


def test_answers_have_the_shape_of_the_schema(
    world: World, ada: APIClient, schema: Any
) -> None:
    asks = start(ada, "api-ask", order=7)
    failed = start(ada, "api-fail")
    start(ada, "api-parcel", order=7)
    world.deliver()
    question, letter = Question.objects.get(), DeadLetterEntry.objects.get()
    ada.post(f"{FLOWS}{asks}/pause/")
    routes = {
        "flow-types/": "flow-types/",
        "flows/": "flows/?is_detailed=true&limit=1",
        "flows/stats/": "flows/stats/",
        "flows/most-recent/": "flows/most-recent/",
        "questions/": "questions/",
        "questions/{id}/": f"questions/{question.pk}/",
        "dead-letters/": "dead-letters/",
        "dead-letters/{id}/": f"dead-letters/{letter.pk}/",
        "workflows/": "workflows/?limit=1",
        "workflows/types/": "workflows/types/",
        "workflows/{run_id}/": f"workflows/{failed}/",
        "flows/{run_id}/": f"flows/{asks}/",
        **{
            f"flows/{{run_id}}/{name}/": f"flows/{asks}/{name}/"
            for name in ("steps", "questions", "audit", "why")
        },
    }
    described = {
        path.removeprefix(f"{V1}/")
        for path, methods in schema["paths"].items()
        if path.startswith(V1) and "get" in methods
    }

    for path, where in routes.items():
        check(schema, ada.get(f"{V1}/{where}"), path)

    assert set(routes) == described


def test_answers_to_changes_have_the_shape_of_the_schema(
    world: World, ada: APIClient, schema: Any
) -> None:
    asks = start(ada, "api-ask")
    failed = start(ada, "api-fail")
    world.deliver()
    bodies: dict[str, Any] = {
        "flows/": {"flow_type": "api-sum"},
        "workflows/{name}/start": {"input": {}},
        "flows/{run_id}/pause/": {},
        "flows/{run_id}/resume/": {},
        "flows/{run_id}/events/": {"name": "x"},
        "flows/{run_id}/questions/": {"answer": {"reason": "x"}},
        "flows/{run_id}/fork/": {"step_id": "approve"},
        "flows/{run_id}/cancel/": {},
    }

    for path, body in bodies.items():
        where = path.replace("{run_id}", asks).replace("{name}", "api-sum")
        answer = ada.post(f"{V1}/{where}", body, format="json")
        check(schema, answer, path, "post")
    retried = ada.post(f"{FLOWS}{failed}/retry/", {}, format="json")
    check(schema, retried, "flows/{run_id}/retry/", "post")
