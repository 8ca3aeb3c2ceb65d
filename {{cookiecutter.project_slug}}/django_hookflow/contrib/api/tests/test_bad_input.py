"""Bad input is refused with the field, and with the right form of it.

Nothing that a client sends is an error of the site.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import signing
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from django_hookflow.contrib.api import filters
from django_hookflow.contrib.api import jsonpaths
from django_hookflow.contrib.api import urls
from django_hookflow.contrib.api.tests.conftest import V1
from django_hookflow.contrib.api.tests.test_access import methods_of
from django_hookflow.contrib.api.tests.test_flows import FLOWS
from django_hookflow.contrib.api.tests.test_flows import start
from django_hookflow.testing.world import World

HUGE = "9" * 30
STRANGE: list[Any] = [
    "",
    "x",
    "\0",
    "\ud800",
    "😀" * 300,
    "-1",
    HUGE,
    int(HUGE),
    "1e400",
    "nan",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    '{"self": 1}',
    '{"a": 1e400}',
    '{"a": "\\ud800"}',
    '{"a": "\\u0000"}',
    f'{{"a": {HUGE}}}',
    "[" * 3000,
    "{}",
    "hookflow.answer:approve",
    signing.dumps([1, "x"], salt="django_hookflow.contrib.api.pagination"),
    signing.dumps({}, salt="django_hookflow.contrib.api.pagination"),
    None,
    True,
    -1,
    0.5,
    [],
    {},
    [{"a": ["\ud800\0"]}],
]


@pytest.mark.parametrize(
    ("parameters", "field", "said"),
    [
        ({"status": "done"}, "status", '"done" is not a status. Choose from:'),
        ({"limit": "0"}, "limit", "greater than or equal to 1"),
        ({"limit": "201"}, "limit", "less than or equal to 200"),
        ({"limit": "ten"}, "limit", "valid integer"),
        ({"offset": "-1"}, "offset", "greater than or equal to 0"),
        ({"offset": "10001"}, "offset", "less than or equal to 10000"),
        ({"cursor": "x"}, "cursor", "Invalid cursor. Take next_cursor"),
        ({"created_after": "soon"}, "created_after", "YYYY-MM-DDThh:mm"),
        ({"attributes": "[1]"}, "attributes", "Invalid JSON object '[1]'."),
        ({"attributes": '{"self": 1}'}, "attributes", "cannot be looked"),
        ({"attributes": '{"a": "\\u0000"}'}, "attributes", "NUL"),
        ({"owner": "1"}, "owner", "You see your own runs only"),
        ({"stauts": "x"}, "stauts", "Unknown parameter. Choose from: attri"),
        ({"state": "x"}, "state", "state__<name>__<name>"),
        ({'state__a"b': "x"}, 'state__a"b', "Unknown parameter."),
        ({f"state__a{n}": "x" for n in range(6)}, "state", "At most 5 paths"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(
    ada: APIClient, parameters: dict[str, str], field: str, said: str
) -> None:
    answer = ada.get(FLOWS, parameters)

    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert said in answer.json()[field][0]


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "flow_type", "required"),
        ({"flow_type": "api-smu"}, "flow_type", "Did you mean 'api-sum'?"),
        ({"flow_type": "api-sum", "version": 7}, "flow_type", "no version 7"),
        ({"flow_type": "api-sum", "state": [1]}, "state", "a JSON object"),
        ({"flow_type": "api-sum", "input": 7}, "input", "a JSON object"),
        (
            {"flow_type": "api-sum", "input": {}, "state": {}},
            "input",
            "another name of 'state'",
        ),
        ([], "non_field_errors", "Expected a dictionary"),
    ],
)
def test_a_body_that_makes_no_sense_is_told(
    ada: APIClient, body: Any, field: str, said: str
) -> None:
    answer = ada.post(FLOWS, body, format="json")

    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert said in str(answer.json()[field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": 1}, "data"),
        ({"question": 1}, "question"),
        ({"event_id": "x"}, "event_id"),
        ({"answer": 1, "event": "x"}, "event"),
        ({"answer": 1, "question": 10**12}, "question"),
        ({"event": "\0"}, "event"),
        ({"event": "x", "event_id": ""}, "event_id"),
        ({"reason": "x" * 2001}, "reason"),
    ],
)
def test_a_resumption_that_makes_no_sense_is_told(
    world: World, ada: APIClient, body: Any, field: str
) -> None:
    run_id = start(ada, "api-ask")
    world.deliver()

    answer = ada.post(f"{FLOWS}{run_id}/resume/", body, format="json")

    assert answer.status_code == 400
    assert list(answer.json()) == [field]


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ('{"flow_type": NaN}', "application/json", 400),
        ("9" * 5000, "application/json", 400),
        ("a=b", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    ada: APIClient, text: str, kind: str, status: int
) -> None:
    answer = ada.post(FLOWS, text, content_type=kind)

    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]


@pytest.mark.parametrize("depth", [50, 200, 300, 500, 900, 950, 980])
def test_deep_data_is_taken_or_refused(
    world: World, ada: APIClient, depth: int
) -> None:
    text = '{"flow_type": "api-nap", "state": {"a": %s1%s}}'
    body = text % ("[" * depth, "]" * depth)

    begun = ada.post(FLOWS, body, content_type="application/json")
    answers = [
        ada.get(FLOWS, {"is_detailed": "true"}),
        ada.get(FLOWS, {"state__a": "x"}),
    ]

    assert begun.status_code in (201, 400)
    assert [one.status_code for one in answers] == [200, 200]


def test_a_page_of_html_is_for_people(world: World, ada: APIClient) -> None:
    run_id = start(ada, "api-ask")
    world.deliver()
    doors = ["flows/", "flow-types/", f"flows/{run_id}/", "questions/",
             f"flows/{run_id}/resume/", "workflows/"]  # fmt: skip

    answers = {
        door: ada.get(f"{V1}/{door}", headers={"Accept": "text/html"})
        for door in doors
    }

    assert {one.headers["Content-Type"] for one in answers.values()} == {
        "text/html; charset=utf-8"
    }
    assert {door: one.status_code for door, one in answers.items()} == {
        door: 405 if door.endswith("resume/") else 200 for door in doors
    }


FUZZ = hypothesis_settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FIELDS = (
    "flow_type", "version", "state", "input", "data", "idempotency_key",
    "reason", "answer", "question", "event", "event_id", "name", "step_id",
)  # fmt: skip
PARAMETERS = [*filters.RunListFilters().fields, "after", "is_replayed",
              f"{jsonpaths.PREFIX}__a__0", "format"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("route", urls.urlpatterns, ids=lambda one: one.name)
def test_nothing_that_is_sent_is_an_error_of_the_site(
    world: World, ada: APIClient, route: Any
) -> None:
    ada.raise_request_exception = False
    run_id = start(ada, "api-ask")
    start(ada, "api-fail")
    world.deliver()
    names = {"name": ["api-sum", "x"], "pk": ["1", HUGE]}
    ids = names | {"run_id": [run_id, "x", "😀" * 300, "%ED%A0%80"]}
    (key,) = [*route.pattern.converters] or [""]
    wheres = [
        f"{V1}/{route.pattern}".replace(f"<{kind}:{key}>", value)
        for kind in ("str", "path", "int")
        for value in ids.get(key, [""])
        if f"<{kind}:{key}>" in str(route.pattern)
        or (not key and kind == "str")
    ]

    methods = methods_of(route.callback.actions)

    @FUZZ
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        method = data.draw(st.sampled_from(methods))
        where = data.draw(st.sampled_from(wheres))
        value = st.sampled_from(STRANGE) | JSON
        if method == "get":
            asked = data.draw(
                st.dictionaries(st.sampled_from(PARAMETERS), value, max_size=2)
            )
            texts = {
                name: str(one).encode(errors="replace").decode()
                for name, one in asked.items()
                if one is not None
            }
            answer = ada.get(where, texts)
        else:
            fields = st.dictionaries(st.sampled_from(FIELDS), value)
            body = json.dumps(data.draw(fields | value))
            answer = getattr(ada, method)(
                where, body, content_type="application/json"
            )
        assert answer.status_code < 500, answer.content
        answer.content.decode()

    assert wheres
    assert methods
    send()


def test_errors_are_pages_for_people_too(world: World, ada: APIClient) -> None:
    html = {"Accept": "text/html"}
    answers = [
        ada.get(f"{FLOWS}none/", headers=html),
        ada.get(f"{V1}/workflows/none/", headers=html),
        ada.get(FLOWS, {"limit": "x"}, headers=html),
        ada.post(FLOWS, {}, format="json", headers=html),
        APIClient().get(FLOWS, headers=html),
    ]

    assert [one.status_code for one in answers] == [404, 404, 400, 400, 403]
    for one in answers:
        assert one.headers["Content-Type"].startswith("text/html")
