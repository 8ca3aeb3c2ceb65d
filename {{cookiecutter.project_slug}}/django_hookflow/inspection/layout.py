"""Places the nodes of a graph in layers, so that nothing overlaps.

The layers of nodes stand in even rows. In the odd rows between them, and
where an edge passes a layer, edges have points of their own, which are as
wide as their labels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from itertools import pairwise
from statistics import fmean

from django_hookflow.inspection.drawing import lines_of
from django_hookflow.inspection.graph import BACK
from django_hookflow.inspection.graph import COMPENSATION
from django_hookflow.inspection.graph import Edge
from django_hookflow.inspection.graph import Graph
from django_hookflow.inspection.graph import Node

# All in pixels.
LETTER = 7.3  # the width of a character of a monospace font of 12 px
LINE = 17  # its height
SPACE = 34.0  # between the text and the ends of a box
GAP = 24.0  # between boxes of one row
ROW_GAP = 10.0
MARGIN = 16.0
SWEEPS = 8  # after as many, rows seldom change


@dataclass(slots=True, eq=False)
class Box:
    """A node, or the point of an edge in a row."""

    width: float
    height: float
    row: int
    x: float = 0.0  # of its centre
    y: float = 0.0
    above: list[Box] = field(default_factory=list)
    below: list[Box] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """An edge by its boxes, from its source to its target."""

    edge: Edge
    boxes: tuple[Box, ...]
    label: Box | None  # where its label stands


@dataclass(frozen=True, slots=True)
class Layout:
    width: float
    height: float
    boxes: tuple[tuple[Node, Box], ...]
    lines: tuple[Line, ...]


def layout_of(graph: Graph) -> Layout:
    """Return where everything stands, in pixels from the upper left."""
    boxes = _boxes(graph)
    rows: dict[int, list[Box]] = defaultdict(list)
    for box in boxes.values():
        rows[box.row].append(box)
    lines = [_line(edge, boxes, rows) for edge in graph.edges]
    ordered = [rows[number] for number in sorted(rows)]
    _order(ordered, {id(boxes[e.target]): boxes[e.source] for e in graph.edges
                     if e.style == COMPENSATION})  # fmt: skip
    _spread(ordered)
    width, height = _measure(ordered)
    placed = tuple((node, boxes[node.id]) for node in graph.nodes)
    return Layout(width, height, placed, tuple(lines))


def _boxes(graph: Graph) -> dict[str, Box]:
    """Return the boxes of the nodes: each below all that lead to it."""
    boxes: dict[str, Box] = {}
    for node in graph.nodes:
        texts = lines_of(node)
        width = max(map(len, texts)) * LETTER + SPACE
        row = 0
        for edge in graph.edges:
            if edge.target == node.id and edge.style != BACK:
                down = 0 if edge.style == COMPENSATION else 2
                row = max(row, boxes[edge.source].row + down)
        boxes[node.id] = Box(width, len(texts) * LINE + 12, row)
    return boxes


def _line(
    edge: Edge, boxes: dict[str, Box], rows: dict[int, list[Box]]
) -> Line:
    ends = [boxes[edge.source], boxes[edge.target]]
    upper, lower = reversed(ends) if edge.style == BACK else ends
    path, label = [upper], None
    for row in range(upper.row + 1, lower.row):
        point = Box(4.0, 6.0, row)
        if edge.label and label is None:
            label = point
            point.width = len(edge.label) * LETTER + 8
            point.height = LINE
        rows[row].append(point)
        path.append(point)
    path.append(lower)
    if upper.row != lower.row:
        for first, second in pairwise(path):
            first.below.append(second)
            second.above.append(first)
    if edge.style == BACK:
        path.reverse()
    return Line(edge, tuple(path), label)


def _order(rows: list[list[Box]], beside: dict[int, Box]) -> None:
    """Sort each row by the places of the neighbours, to cross few lines.

    `beside`: undos by the id of their box, with the box of their step.
    """
    for row in rows:
        _number(row)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            wanted = {id(box): _mean(box, down=down) for box in row}
            row.sort(key=lambda box: _place(box, wanted, beside))
            _number(row)


def _place(
    box: Box, wanted: dict[int, float], beside: dict[int, Box]
) -> tuple[float, float, bool]:
    step = beside.get(id(box), box)
    return wanted[id(step)], step.x, step is not box


def _number(row: list[Box]) -> None:
    for number, box in enumerate(row):
        box.x = float(number)


def _mean(box: Box, *, down: bool) -> float:
    neighbours = box.above if down else box.below
    return fmean(one.x for one in neighbours) if neighbours else box.x


def _spread(rows: list[list[Box]]) -> None:
    """Give each box its x: near its neighbours, and without overlaps."""
    for row in rows:
        _settle(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            _settle(row, [_mean(box, down=down) for box in row])
    for row in rows:
        _settle(row, [_middle(box) for box in row])


def _middle(box: Box) -> float:
    means = [_mean(box, down=True), _mean(box, down=False)]
    return fmean(means)


def _settle(row: list[Box], wanted: list[float]) -> None:
    """Move boxes of a row as near as can be to where they want to be.

    This is an isotonic regression: neighbours that would overlap form a
    group, which stands at the mean of what they want.
    """
    offsets, total = [], 0.0
    for box in row:
        offsets.append(total + box.width / 2)
        total += box.width + GAP
    groups: list[list[float]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        groups.append([want - offset])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    places = [fmean(group) for group in groups for _ in group]
    for box, place, offset in zip(row, places, offsets, strict=True):
        box.x = place + offset


def _measure(rows: Iterable[list[Box]]) -> tuple[float, float]:
    """Move all into the picture; return its width and height."""
    boxes = [box for row in rows for box in row]
    left = min(box.x - box.width / 2 for box in boxes) - MARGIN
    y = MARGIN
    for row in rows:
        height = max(box.height for box in row)
        for box in row:
            box.x -= left
            box.y = y + height / 2
        y += height + ROW_GAP
    right = max(box.x + box.width / 2 for box in boxes) + MARGIN
    return right, y - ROW_GAP + MARGIN
