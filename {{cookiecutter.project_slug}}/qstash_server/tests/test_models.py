"""Rows in the admin or the shell."""

from __future__ import annotations

import pytest

from qstash_server import models
from qstash_server.server import start_in_background


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (models.Lane(kind="queue", name="q"), "queue q"),
        (models.Message(message_id="msg_1"), "msg_1"),
        (models.Event(state="CREATED", message_id=7), "CREATED 7"),
        (models.DeadLetter(dlq_id="1-1"), "1-1"),
        (models.Deduplication(message_id="msg_1"), "msg_1"),
        (models.SigningKeys(account="project"), "project"),
        (models.UrlGroup(name="g"), "g"),
        (models.Endpoint(url="http://localhost/"), "http://localhost/"),
        (models.Schedule(schedule_id="scd_1"), "scd_1"),
    ],
)
def test_row_names_itself(row: object, name: str) -> None:
    assert str(row) == name


def test_server_of_the_settings_starts_in_the_background(
    transactional_db: None,
) -> None:
    server = start_in_background()

    assert server.url.startswith("http://127.0.0.1:")
    assert server.config.own_host == "testserver"
    server.stop()
