"""A graph as an SVG, which needs no program but a browser."""

from __future__ import annotations

from itertools import pairwise
from xml.sax.saxutils import escape
from xml.sax.saxutils import quoteattr

from django_hookflow.inspection.drawing import WAITS
from django_hookflow.inspection.drawing import lines_of
from django_hookflow.inspection.graph import BACK
from django_hookflow.inspection.graph import COMPENSATION
from django_hookflow.inspection.graph import DECISION
from django_hookflow.inspection.graph import END
from django_hookflow.inspection.graph import FAILURE
from django_hookflow.inspection.graph import JOIN
from django_hookflow.inspection.graph import LOOP
from django_hookflow.inspection.graph import NO_STEPS
from django_hookflow.inspection.graph import START
from django_hookflow.inspection.graph import Graph
from django_hookflow.inspection.graph import Node
from django_hookflow.inspection.layout import LINE
from django_hookflow.inspection.layout import Box
from django_hookflow.inspection.layout import Layout
from django_hookflow.inspection.layout import Line
from django_hookflow.inspection.layout import layout_of

STYLE = """\
svg { background: #ffffff; color: #1f2430; }
text { font: 12px ui-monospace, Menlo, Consolas, monospace; \
fill: currentColor; text-anchor: middle; }
.detail { fill: #5a6272; }
.box { fill: #f4f6fa; stroke: #8a94a6; }
.wait { fill: #e8f1fd; stroke: #3f78c4; }
.decision, .loop { fill: #fff6df; stroke: #a8791a; }
.end, .start, .join { fill: #e7f6ec; stroke: #3b8a57; }
.failure { fill: #fdeaea; stroke: #c04747; }
.undo { fill: #f5eefb; stroke: #8654b3; stroke-dasharray: 4 3; }
.edge { fill: none; stroke: #8a94a6; }
.error { stroke: #c04747; stroke-dasharray: 5 3; }
.compensation { stroke: #8654b3; stroke-dasharray: 2 3; }
.tip { fill: #8a94a6; stroke: none; }
.behind { fill: #ffffff; stroke: none; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171f; color: #e8ebf2; }
  .detail { fill: #aab3c4; }
  .box { fill: #222836; }
  .wait { fill: #1a2d49; }
  .decision, .loop { fill: #3a2f14; }
  .end, .start, .join { fill: #17331f; }
  .failure { fill: #431d1d; }
  .undo { fill: #2e2140; }
  .behind { fill: #14171f; }
}
"""
ROUND = (START, END, FAILURE, JOIN)
POINTED = (DECISION, LOOP)


def svg(graph: Graph) -> str:
    """Return a graph as a picture in light or dark colours."""
    layout = layout_of(graph)
    size = f"{layout.width:.0f} {layout.height:.0f}"
    steps = [n.label for n in graph.nodes if n.kind not in NO_STEPS]
    about = f"Steps: {', '.join(steps)}." if steps else "No steps."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
        f'width="{layout.width:.0f}" height="{layout.height:.0f}" '
        'role="img" aria-labelledby="title about">',
        f'<title id="title">Workflow {escape(graph.title)}</title>',
        f'<desc id="about">{escape(about)}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
        *_edges(layout),
        *(_node(node, box) for node, box in layout.boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _edges(layout: Layout) -> list[str]:
    labels = [_label(line) for line in layout.lines]
    return [*map(_edge, layout.lines), *filter(None, labels)]


def _edge(line: Line) -> str:
    kind = quoteattr(f"edge {line.edge.style}")
    return f'<path class={kind} d="{_path(line)}" marker-end="url(#tip)"/>'


def _path(line: Line) -> str:
    first, *points, last = line.boxes
    if line.edge.style == COMPENSATION:
        end = last.x - last.width / 2
        return f"M{first.x + first.width / 2:.1f} {first.y:.1f}H{end:.1f}"
    side = -1 if line.edge.style == BACK else 1
    ways = [
        (first.x, first.y + side * first.height / 2),
        *((point.x, point.y) for point in points),
        (last.x, last.y - side * last.height / 2),
    ]
    path = f"M{ways[0][0]:.1f} {ways[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(ways):
        bend = (y + to_y) / 2
        path += (
            f"C{x:.1f} {bend:.1f} {to_x:.1f} {bend:.1f} {to_x:.1f} {to_y:.1f}"
        )
    return path


def _label(line: Line) -> str:
    box = line.label
    if box is None:
        return ""
    return (
        f'<rect class="behind" {_rectangle(box)}/>'
        f"{_text(box.x, box.y + 4, line.edge.label, 'detail')}"
    )


def _node(node: Node, box: Box) -> str:
    lines = lines_of(node)
    top = box.y - (len(lines) - 1) * LINE / 2 + 4
    texts = [
        _text(box.x, top + number * LINE, text, "detail" if number else "name")
        for number, text in enumerate(lines)
    ]
    return f"<g>{_shape(node, box)}{''.join(texts)}</g>"


def _shape(node: Node, box: Box) -> str:
    kind = node.kind if node.kind in NO_STEPS else "box"
    if node.kind in WAITS:
        kind = "wait"
    if node.kind in POINTED:
        return f'<polygon class="{kind}" points="{_hexagon(box)}"/>'
    corner = box.height / 2 if node.kind in ROUND else 5
    return f'<rect class="{kind}" {_rectangle(box)} rx="{corner:.0f}"/>'


def _rectangle(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return (
        f'x="{left:.1f}" y="{top:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}"'
    )


def _hexagon(box: Box) -> str:
    left, right = box.x - box.width / 2, box.x + box.width / 2
    top, bottom = box.y - box.height / 2, box.y + box.height / 2
    points = [
        (left, box.y),
        (left + 12, top),
        (right - 12, top),
        (right, box.y),
        (right - 12, bottom),
        (left + 12, bottom),
    ]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
    )
