"""The README agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from qstash import QStash

import qstash_server

HERE = Path(qstash_server.__file__).parent
README = (HERE / "README.md").read_text()


def snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("snippet", snippets())
def test_snippet_runs(transactional_db: None, snippet: str) -> None:
    names: dict[str, object] = {"TOKEN": settings.QSTASH_TOKEN}

    exec(compile(snippet, "README.md", "exec"), names)

    for one in names.values():
        if isinstance(one, QStash):
            one.http._client.close()


def test_choices_in_the_code_are_explained() -> None:
    explained = {int(n) for n in re.findall(r"^(\d+)\. ", README, re.M)}
    sources = "".join(path.read_text() for path in HERE.rglob("*.py"))
    # What the server does not do has no line: 23 (bills), 27 (tokens).
    without_a_line = {23, 27}

    made = {int(n) for n in re.findall(r"choice (\d+)", sources)}

    assert explained == set(range(1, 35))
    assert made == explained - without_a_line
