"""`visualize_graph` draws what the source of a workflow says."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.core.management import CommandError
from django.core.management import call_command

from django_hookflow import workflow
from django_hookflow.tests.inspection import drawn
from django_hookflow.tests.inspection import mistaken
from django_hookflow.workflows.registry import restored

SVG = "{http://www.w3.org/2000/svg}"
LETTER = 7.23  # the width of a character of 12 px in a monospace font


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with restored():
        for function in drawn.FUNCTIONS:
            workflow(function)
        yield


def draw(name: str, *args: str) -> str:
    out = StringIO()
    call_command("visualize_graph", "--flow-type", name, *args, stdout=out)
    return out.getvalue()


def test_mermaid_shows_fan_outs_and_loops() -> None:
    assert draw("everything", "--format", "mermaid") == EVERYTHING


def test_mermaid_shows_errors_and_ends() -> None:
    assert draw("ends", "--format", "mermaid") == ENDS


def test_mermaid_shows_a_match_with_its_guards() -> None:
    assert draw("choice", "--format", "mermaid") == CHOICE


def test_a_workflow_without_steps_is_start_and_end() -> None:
    assert draw("nothing", "--format=mermaid") == (
        '---\ntitle: "nothing"\n---\nflowchart TD\n'
        '    n0(["start"])\n'
        '    n1(["completed"])\n'
        "    n0 --> n1\n"
    )
    assert "No steps." in draw("nothing")


def test_dot_quotes_names_and_shows_undos() -> None:
    assert draw("short", "--format", "dot") == SHORT


@pytest.mark.parametrize("function", [*drawn.FUNCTIONS, *mistaken.FUNCTIONS])
def test_no_text_of_the_picture_overlaps_another(
    function: Callable[..., Any],
) -> None:
    workflow(workflow_id="drawn")(function)
    picture = ET.fromstring(draw("drawn"))
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    boxes = [
        (*corner(text), *size(text)) for text in picture.iter(f"{SVG}text")
    ]

    assert len(boxes) >= 2
    assert [
        (one, other)
        for one, other in combinations(boxes, 2)
        if overlap(one, other)
    ] == []
    assert all(
        x >= 0 and y >= 0 and x + w <= width and y + h <= height
        for x, y, w, h in boxes
    )


@pytest.mark.parametrize("function", [*drawn.FUNCTIONS, *mistaken.FUNCTIONS])
def test_no_shape_of_the_picture_overlaps_another(
    function: Callable[..., Any],
) -> None:
    workflow(workflow_id="drawn")(function)
    picture = ET.fromstring(draw("drawn"))
    boxes = [shape(group[0]) for group in picture.iter(f"{SVG}g")]

    assert [
        (one, other)
        for one, other in combinations(boxes, 2)
        if overlap(one, other)
    ] == []


def corner(text: ET.Element) -> tuple[float, float]:
    width, height = size(text)
    x, y = float(text.attrib["x"]), float(text.attrib["y"])
    return x - width / 2, y - height + 3


def size(text: ET.Element) -> tuple[float, float]:
    return len(text.text or "") * LETTER, 12.0


def shape(element: ET.Element) -> tuple[float, float, float, float]:
    if element.tag == f"{SVG}rect":
        names = ("x", "y", "width", "height")
        x, y, width, height = (float(element.attrib[n]) for n in names)
        return x, y, width, height
    points = re.findall(r"([-\d.]+),([-\d.]+)", element.attrib["points"])
    xs, ys = ([float(p[i]) for p in points] for i in (0, 1))
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(
        one[axis] < other[axis] + other[axis + 2]
        and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def test_the_picture_has_a_title_a_description_and_dark_colours() -> None:
    text = draw("short")
    picture = ET.fromstring(text)

    assert picture.attrib["role"] == "img"
    assert picture.attrib["aria-labelledby"] == "title about"
    assert picture.findtext(f"{SVG}title") == "Workflow short"
    assert picture.findtext(f"{SVG}desc") == 'Steps: say "a", rest.'
    assert "prefers-color-scheme: dark" in text


def test_a_version_is_drawn_by_its_number() -> None:
    workflow(workflow_id="short", version=2)(drawn.nothing)

    assert 'title: "short"\n' in draw("short", "--format=mermaid")
    assert "rest" not in draw("short", "--format=mermaid")
    first = draw("short", "--version", "1", "--format=mermaid")
    assert 'title: "short (version 1)"' in first
    assert "rest" in first


def test_the_name_of_a_graph_is_that_of_a_workflow(tmp_path: Path) -> None:
    file = tmp_path / "short.svg"
    out = StringIO()

    call_command(
        "visualize_graph", "--graph-name=short", f"--output={file}", stdout=out
    )

    assert out.getvalue() == f"Wrote {file}: 5 nodes, 4 edges.\n"
    assert file.read_text() == draw("short")


def test_an_unknown_name_tells_those_there_are() -> None:
    with pytest.raises(CommandError) as raised:
        draw("everithing")

    message = str(raised.value)
    assert message.startswith(
        "No workflow is registered as 'everithing'. Did you mean 'everything'?"
    )
    _, _, names = message.partition("Registered workflows: ")
    assert {"choice", "ends", "everything"} <= {*names[:-1].split(", ")}


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "none" / "short.svg"

    with pytest.raises(CommandError) as raised:
        draw("short", f"--output={file}")

    assert str(raised.value) == (
        f"Cannot write {file}: No such file or directory. Name a file in a "
        "folder that exists."
    )


def test_a_workflow_without_source_is_refused() -> None:
    names: dict[str, Any] = {}
    exec("def made(ctx): ...", names)
    workflow(names["made"])

    with pytest.raises(CommandError) as raised:
        draw("made")

    assert str(raised.value) == (
        "The source of workflow 'made' cannot be read: <string>:1 is "
        "missing, is not Python, or has changed since it was imported."
    )


SHORT = r"""digraph "short" {
    node [shape=box, fontname="sans-serif"]
    edge [fontname="sans-serif"]
    n0 [label="start", shape=oval]
    n1 [label="say \"a\"\nwork", shape=box]
    n2 [label="undo\ncancel", shape=note]
    n3 [label="rest\nsleep 1h", shape=box]
    n4 [label="completed", shape=oval]
    n0 -> n1 [label="", style=solid]
    n1 -> n2 [label="", style=dotted]
    n1 -> n3 [label="", style=solid]
    n3 -> n4 [label="", style=solid]
}
"""

EVERYTHING = """\
---
title: "everything"
---
flowchart TD
    n0(["start"])
    n1["ship<br/>map ship"]
    n2["label<br/>work"]
    n3{{"not label"}}
    n4("pickup<br/>wait for picked-up")
    n5(["end of ship"])
    n6["count<br/>map len"]
    n7["both<br/>parallel"]
    n8["mail"]
    n9["label<br/>work"]
    n10{{"not label"}}
    n11("pickup<br/>wait for picked-up")
    n12(["end of both"])
    n13{{"for parcel in ctx.data['parcels']"}}
    n14{{"parcel == 'lost'"}}
    n15{{"parcel == 'last'"}}
    n16["tell {parcel}<br/>call PUT https://example.com"]
    n17{{"while True"}}
    n18["poll<br/>work"]
    n0 --> n1
    n1 -->|"each"| n2
    n2 --> n3
    n3 -->|"no"| n4
    n3 -->|"yes"| n5
    n4 --> n5
    n5 --> n6
    n6 --> n7
    n7 --> n8
    n7 -->|"parcel"| n9
    n9 --> n10
    n10 -->|"no"| n11
    n8 --> n12
    n10 -->|"yes"| n12
    n11 --> n12
    n12 --> n13
    n13 -->|"each"| n14
    n14 -->|"yes"| n13
    n14 -->|"no"| n15
    n15 -->|"no"| n16
    n16 --> n13
    n15 -->|"yes"| n17
    n13 -->|"done"| n17
    n17 -->|"each"| n18
    n18 --> n17
"""

ENDS = """\
---
title: "ends"
---
flowchart TD
    n0(["start"])
    n1("approve<br/>ask managers")
    n2[["child<br/>invoke other"]]
    n3(["goes on as a new run"])
    n4(["fails"])
    n5[["start mail"]]
    n6{{"for line in ctx.data['lines']"}}
    n7{{"not line"}}
    n8(["fails<br/>ValueError"])
    n9{{"refuse_some(ctx)"}}
    n10("race<br/>first paid, late")
    n11(["completed<br/>refuse_some(ctx) or race"])
    n0 --> n1
    n1 --> n2
    n1 -.->|"(TimeoutError, ValueError)"| n3
    n2 -.->|"(TimeoutError, ValueError)"| n3
    n1 -.->|"any error"| n4
    n2 -.->|"any error"| n4
    n2 --> n5
    n5 --> n6
    n6 -->|"each"| n7
    n7 -->|"yes"| n8
    n7 -->|"no"| n6
    n6 -->|"done"| n9
    n9 -->|"no"| n10
    n10 --> n11
    n9 -->|"yes"| n11
"""

CHOICE = """\
---
title: "choice"
---
flowchart TD
    n0(["start"])
    n1["is-big<br/>work"]
    n2{{"ctx.data['kind']"}}
    n3["box<br/>work"]
    n4["bag<br/>work"]
    n5{{"ctx.data['colour']"}}
    n6["paint<br/>work"]
    n7["wash<br/>work"]
    n8(["completed"])
    n0 --> n1
    n1 --> n2
    n2 -->|"'mug' if is-big"| n3
    n2 -->|"'mug'"| n4
    n3 --> n5
    n4 --> n5
    n2 -->|"other"| n5
    n5 -->|"'red'"| n6
    n5 -->|"other"| n7
    n6 --> n8
    n7 --> n8
"""
