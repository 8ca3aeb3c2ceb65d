"""The pictures of the sample show what its workflows do."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core import checks
from django.core.management import call_command


def draw(name: str) -> str:
    out = StringIO()
    call_command(
        "visualize_graph",
        f"--flow-type={name}",
        "--format=mermaid",
        stdout=out,
    )
    return out.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "sample-refund-order",
        "sample-approve-large-order",
        "sample-process-order",
    ],
)
def test_the_graph_of_a_sample(name: str) -> None:
    assert draw(name) == GRAPHS[name]


def test_the_checks_find_nothing_in_the_sample() -> None:
    found = [
        message
        for message in checks.run_checks(tags=["hookflow"])
        if "'sample-" in message.msg
    ]

    assert found == []


GRAPHS = {
    "sample-refund-order": """\
---
title: "sample-refund-order"
---
flowchart TD
    n0(["start"])
    n1["begin-return<br/>services.begin_return"]
    n2>"undo<br/>services.refuse_return"]
    n3["restock<br/>services.restock"]
    n4>"undo<br/>services.take_again"]
    n5["refund<br/>call POST payments.refund_url(charge_id)"]
    n6{{"answer['status_code'] != HTTPStatus.OK"}}
    n7(["fails<br/>PermanentError"])
    n8["record-refund<br/>services.record_refund"]
    n9["refund-mail<br/>services.send_refund_note"]
    n10(["completed<br/>{'order_id': order_id, 'status': 'refunded'}"])
    n0 --> n1
    n1 -.-> n2
    n1 --> n3
    n3 -.-> n4
    n3 --> n5
    n5 --> n6
    n6 -->|"yes"| n7
    n6 -->|"no"| n8
    n8 --> n9
    n9 --> n10
""",
    "sample-approve-large-order": """\
---
title: "sample-approve-large-order"
---
flowchart TD
    n0(["start"])
    n1["total<br/>services.total_of"]
    n2("approve<br/>ask order approvers")
    n3{{"not is_approved"}}
    n4["reject<br/>services.reject"]
    n5(["completed<br/>{'order_id': order_id, 'status': 'cancelled'}"])
    n6[["process<br/>invoke sample-process-order"]]
    n7(["completed<br/>ended"])
    n0 --> n1
    n1 --> n2
    n2 --> n3
    n2 -.->|"EventTimeout"| n3
    n3 -->|"yes"| n4
    n4 --> n5
    n3 -->|"no"| n6
    n6 --> n7
""",
    "sample-process-order": """\
---
title: "sample-process-order"
---
flowchart TD
    n0(["start"])
    n1["validate<br/>services.validate_order"]
    n2["reserve-stock<br/>services.reserve_stock"]
    n3{{"not reserve-stock"}}
    n4(["completed<br/>ended(order_id, Status.CANCELLED)"])
    n5["charge-card<br/>call POST payments.charges_url()"]
    n6{{"answer['status_code'] #gt;= 400"}}
    n7{{"not charge_id"}}
    n8(["fails<br/>PermanentError"])
    n9["record-charge<br/>services.record_charge"]
    n10("payment<br/>wait for payments.SETTLED")
    n11{{"charge is None"}}
    n12["payment-reminder<br/>services.send_reminder"]
    n13("late-payment<br/>wait for payments.SETTLED")
    n14{{"settlement(ctx, order_id)"}}
    n15["cancel-charge<br/>call POST payments.cancel_url(charge_id)"]
    n16{{"answer['status_code'] not in CANCELLED or not h…"}}
    n17(["fails<br/>PermanentError"])
    n18{{"(found, currency) != (charge_id, request['curre…"}}
    n19(["fails<br/>PermanentError"])
    n20{{"charge['status'] != 'succeeded'"}}
    n21["release-stock<br/>services.release_stock"]
    n22(["completed<br/>ended(order_id, status)"])
    n23["record-payment<br/>services.record_payment"]
    n24["fulfil<br/>services.fulfil"]
    n25["confirmation-mail<br/>services.send_confirmation"]
    n26(["completed<br/>ended(order_id, Status.FULFILLED)"])
    n0 --> n1
    n1 --> n2
    n2 --> n3
    n3 -->|"yes"| n4
    n3 -->|"no"| n5
    n5 --> n6
    n6 -->|"no"| n7
    n7 -->|"yes"| n8
    n7 -->|"no"| n9
    n9 --> n10
    n10 -.->|"EventTimeout"| n11
    n10 --> n11
    n11 -->|"yes"| n12
    n12 --> n13
    n13 -.->|"EventTimeout"| n14
    n13 --> n14
    n11 -->|"no"| n14
    n14 -->|"no"| n15
    n15 --> n16
    n16 -->|"yes"| n17
    n16 -->|"no"| n18
    n14 -->|"yes"| n18
    n18 -->|"yes"| n19
    n6 -->|"yes"| n20
    n18 -->|"no"| n20
    n20 -->|"yes"| n21
    n21 --> n22
    n20 -->|"no"| n23
    n23 --> n24
    n24 --> n25
    n25 --> n26
""",
}
