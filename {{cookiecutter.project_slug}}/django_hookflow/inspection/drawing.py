"""A graph as text: Mermaid, and the dot language of Graphviz."""

from __future__ import annotations

from django_hookflow.inspection.graph import BACK
from django_hookflow.inspection.graph import COMPENSATION
from django_hookflow.inspection.graph import DECISION
from django_hookflow.inspection.graph import END
from django_hookflow.inspection.graph import ERROR
from django_hookflow.inspection.graph import FAILURE
from django_hookflow.inspection.graph import JOIN
from django_hookflow.inspection.graph import LOOP
from django_hookflow.inspection.graph import START
from django_hookflow.inspection.graph import UNDO
from django_hookflow.inspection.graph import Graph
from django_hookflow.inspection.graph import Node

# A word for each kind of step; others are named by themselves.
WORDS = {
    "run": "",
    "sleep_until": "sleep until",
    "wait_for_event": "wait for",
    "start_workflow": "start",
}
WAITS = ("sleep", "sleep_until", "wait_for_event", "ask", "first", "until")

# https://mermaid.js.org/syntax/flowchart.html#node-shapes
BRACKETS = {
    START: ("([", "])"),
    END: ("([", "])"),
    FAILURE: ("([", "])"),
    DECISION: ("{{", "}}"),
    LOOP: ("{{", "}}"),
    JOIN: ("([", "])"),
    UNDO: (">", "]"),
    "invoke": ("[[", "]]"),
    "start_workflow": ("[[", "]]"),
    **dict.fromkeys(WAITS, ("(", ")")),
}
# https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters
ENTITIES = {
    "#": "#35;",
    "&": "#amp;",
    '"': "#quot;",
    "<": "#lt;",
    ">": "#gt;",
    "|": "#124;",
}

# https://graphviz.org/doc/info/shapes.html
SHAPES = {
    START: "oval",
    END: "oval",
    FAILURE: "oval",
    DECISION: "hexagon",
    LOOP: "hexagon",
    JOIN: "oval",
    UNDO: "note",
}
STYLES = {
    ERROR: "dashed",
    COMPENSATION: "dotted",
    BACK: "solid",
}


def lines_of(node: Node) -> tuple[str, ...]:
    """Return the lines of a node: its name, and what it does."""
    word = WORDS.get(node.kind, node.kind)
    if node.kind in BRACKETS and node.kind not in (*WAITS, *WORDS, "invoke"):
        word = ""  # no step
    detail = f"{word} {node.detail}".strip()
    return tuple(dict.fromkeys(filter(None, (node.label, detail))))


def mermaid(graph: Graph) -> str:
    """Return a graph as a flowchart, which Markdown on GitHub shows."""
    lines = ["---", f"title: {_quoted(graph.title)}", "---", "flowchart TD"]
    for node in graph.nodes:
        left, right = BRACKETS.get(node.kind, ("[", "]"))
        text = "<br/>".join(map(_entities, lines_of(node)))
        lines.append(f'    {node.id}{left}"{text}"{right}')
    for edge in graph.edges:
        arrow = "-.->" if edge.style in (ERROR, COMPENSATION) else "-->"
        label = f'|"{_entities(edge.label)}"|' if edge.label else ""
        lines.append(f"    {edge.source} {arrow}{label} {edge.target}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """Return a graph for Graphviz: `dot -Tpng`."""
    lines = [
        f"digraph {_quoted(graph.title)} {{",
        '    node [shape=box, fontname="sans-serif"]',
        '    edge [fontname="sans-serif"]',
    ]
    for node in graph.nodes:
        shape = SHAPES.get(node.kind, "box")
        text = _quoted("\n".join(lines_of(node)))
        lines.append(f"    {node.id} [label={text}, shape={shape}]")
    for edge in graph.edges:
        style = STYLES.get(edge.style, "solid")
        label = f"label={_quoted(edge.label)}, style={style}"
        lines.append(f"    {edge.source} -> {edge.target} [{label}]")
    return "\n".join([*lines, "}"]) + "\n"


def _entities(text: str) -> str:
    return "".join(ENTITIES.get(character, character) for character in text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"{}"'.format(escaped.replace("\n", "\\n"))
