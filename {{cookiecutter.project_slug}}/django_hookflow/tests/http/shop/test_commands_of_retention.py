"""Every command in docs/retention.md, as written, for the data of an order."""

from __future__ import annotations

import re

import pytest

from django_hookflow.tests.http.shop.shop import Shop
from django_hookflow.tests.http.test_retention import commands

pytestmark = [pytest.mark.http, pytest.mark.sqlite]

EMAIL = "ada@example.com"


def test_each_command_of_the_page_does_what_it_says(stack: Shop) -> None:
    stack.start_qstash()
    stack.start_site()
    order = stack.place_order("TEA-02")
    stack.wait_for(
        lambda: stack.get(f"/api/orders/{order}/")["status"] == "fulfilled"
    )
    run_id = f"order-{order}"

    said: dict[str, str] = {}
    for python, _, *arguments in commands(account=False):
        assert python == "python"
        known = [run_id if one == "RUN_ID" else one for one in arguments]
        done = stack.run(*known)
        assert (done.returncode, done.stderr) == (0, ""), known
        said[" ".join(arguments)] = done.stdout

    found = [text for one, text in said.items() if "values_list" in one]
    assert found == [f"{run_id}\n"]
    assert re.fullmatch(
        rf"Deleted 1 runs, \d+ steps, 1 events and 0 dead letters of "
        rf"'{run_id}'\.\n",
        said["hookflow_erase RUN_ID"],
    )
    assert EMAIL not in everything(stack)


def everything(stack: Shop) -> str:
    """All rows of all tables of the shop and the engine, as text."""
    tables = (
        "workflowrun", "stepexecution", "event", "deadletterentry",
    )  # fmt: skip
    names = [f"django_hookflow_{table}" for table in tables]
    names += ["orders_order", "orders_payment", "qstash_server_message"]
    return str([stack.rows(f"SELECT * FROM {name}") for name in names])
