"""The description of the API, as it is written and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client

from tests.browser import browser

WRITTEN = Path(__file__).parents[1] / "docs" / "flows-api.schema.yml"
COMMAND = "manage.py spectacular --file docs/flows-api.schema.yml"


def test_the_schema_that_is_written_is_that_of_the_code(
    tmp_path: Path,
) -> None:
    made = tmp_path / "schema.yml"

    # Warnings fail it, and what is no OpenAPI.
    call_command(
        "spectacular",
        file=str(made),
        format="openapi",
        fail_on_warn=True,
        validate=True,
    )

    said = f"Run {COMMAND} --format openapi, and commit the file."
    assert made.read_text("utf-8") == WRITTEN.read_text("utf-8"), said


def test_the_schema_describes_each_view_once() -> None:
    schema = yaml.safe_load(WRITTEN.read_text("utf-8"))

    assert "/api/hookflow/v1/flows/{run_id}/resume/" in schema["paths"]
    assert not [
        path
        for path in schema["paths"]
        if not path.startswith("/api/") or "graflow" in path
    ]
    names = [
        operation["operationId"]
        for path in schema["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len({*names}) > 20


def test_programs_read_the_schema(client: Client) -> None:
    answer = client.get("/api/schema/", {"format": "json"})

    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.")


@pytest.mark.http
def test_the_pages_of_the_schema_keep_to_the_policy(live_server: Any) -> None:
    with browser() as (page, said):
        page.goto(f"{live_server.url}/api/docs/")
        page.locator("#operations-flows-list_flows").click()
        page.get_by_text("created_after").first.wait_for()

    assert "\n".join(said) == ""
