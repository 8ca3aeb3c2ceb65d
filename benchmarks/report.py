"""The results as JSON, as a Markdown table and as a picture."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from html import escape
from statistics import median
from typing import Any

from benchmarks.figures import Answer
from benchmarks.figures import Figure
from benchmarks.figures import readable
from benchmarks.figures import spread
from benchmarks.peers import PEERS


def as_json(answers: Iterable[Answer], facts: dict[str, Any]) -> Any:
    return {
        "facts": facts,
        "questions": [
            {
                "name": answer.name,
                "title": answer.title,
                "note": answer.note,
                "seconds": round(answer.seconds, 1),
                "skipped": answer.skipped,
                "figures": [f.as_json() for f in answer.figures],
            }
            for answer in answers
        ],
    }


def as_markdown(answers: Sequence[Answer], facts: dict[str, Any]) -> str:
    """Medians, in brackets from the least to the most of the rounds."""
    lines = [machine(facts), ""]
    for answer in answers:
        lines += [f"### {answer.title}", "", answer.note, ""]
        lines += [*table(answer.figures), ""]
        for sentence in answer.skipped:
            lines += [sentence, ""]
    names = {f.who for answer in answers for f in answer.figures}
    return "\n".join([*lines, *compared(names)])


def compared(names: Collection[str]) -> Iterator[str]:
    """Yield what each peer that was measured does, and with what."""
    measured = [peer for peer in PEERS if peer.name in names]
    if not measured:
        return
    yield from ("### What the peers do", "")
    for peer in measured:
        packages = ", ".join(f"`{name}`" for name in peer.packages)
        yield f"- **{peer.name}**: {peer.does}. Installed: {packages}."
    yield ""


def machine(facts: dict[str, Any]) -> str:
    packages = ", ".join(f"{k} {v}" for k, v in facts["packages"].items())
    return (
        f"{facts['cores']} cores ({facts['processor']}), "
        f"{facts['memory_gb']} GB, {facts['system']}, "
        f"Python {facts['python']}, PostgreSQL {facts['postgresql']} with its "
        f"default durability, SQLite {facts['sqlite']}, {packages}; "
        f"load before: {facts['load_before']}."
    )


def table(figures: Sequence[Figure]) -> Iterator[str]:
    yield "| What | Who | Measured | Raw limit | Ratio | Target |"
    yield "|---|---|---:|---:|---:|---|"
    for figure in figures:
        yield "| " + " | ".join(cells(figure)) + " |"


def cells(figure: Figure) -> list[str]:
    limit = readable(median(figure.limits)) if figure.limits else ""
    ratio = spread(figure.ratios) + " ×" if figure.limits else ""
    verdict = f", {figure.verdict}" if figure.verdict else ""
    return [
        figure.what,
        figure.who,
        f"{spread(figure.values)} {figure.unit}",
        limit,
        ratio,
        figure.target + verdict,
    ]


def comparable(figures: Sequence[Figure]) -> list[Figure]:
    """Return the figures with several contenders, which get a picture."""
    whos: dict[str, set[str]] = {}
    for figure in figures:
        whos.setdefault(figure.what, set()).add(figure.who)
    return [f for f in figures if f.limits and len(whos[f.what]) > 1]


WIDTH, ROW, LEFT, RIGHT = 760, 22, 230, 110
LONGEST = 25.0  # the largest ratio that a bar shows
NUMBER = 70  # what "0.89 ×" takes, and some room


def as_svg(title: str, figures: Sequence[Figure]) -> str:
    """Bars of the ratios; a line where the raw limit is.

    The colours follow the reader's scheme, light or dark.
    """
    groups = dict.fromkeys(figure.what for figure in figures)
    largest = max(1.0, *(median(f.ratios) for f in figures))
    largest = min(largest, LONGEST)  # else the others could not be seen
    scale = (WIDTH - LEFT - RIGHT) / largest
    rows: list[str] = []
    top = 46
    for what in groups:
        rows.append(text(16, top + 15, what, "group"))
        top += ROW
        for figure in (f for f in figures if f.what == what):
            rows += bar(figure, top, scale)
            top += ROW
        top += 10
    line = LEFT + scale
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            f'viewBox="0 0 {WIDTH} {top + 28}" width="{WIDTH}" '
            f'aria-label="{escape(title)}">',
            STYLE,
            text(16, 26, title, "title"),
            *rows,
            f'<path class="limit" d="M{line:.1f} 40V{top}"/>',
            text(line, top + 16, "raw limit: 1 ×", "note"),
            "</svg>",
            "",
        ]
    )


def bar(figure: Figure, top: float, scale: float) -> Iterator[str]:
    """Yield its name, the median as a bar, the spread as a line in it."""
    middle, ratios = median(figure.ratios), figure.ratios
    kind = "ours" if figure.who == "hookflow" else "peer"
    low, tip, high = (
        min(LEFT + ratio * scale, WIDTH - NUMBER)
        for ratio in (min(ratios), middle, max(ratios))
    )
    yield text(LEFT - 10, top + 15, figure.who, "who")
    yield (
        f'<rect class="{kind}" x="{LEFT}" y="{top + 3}" '
        f'width="{tip - LEFT:.1f}" height="{ROW - 6}" rx="2"/>'
    )
    yield f'<path class="spread" d="M{low:.1f} {top + 11}H{high:.1f}"/>'
    at = high + 6
    if at < LEFT + scale < at + NUMBER:
        at = LEFT + scale + 6  # behind the line of the limit
    yield text(at, top + 15, f"{readable(middle)} ×", "value")


def text(x: float, y: float, content: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}">{escape(content)}</text>'


STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #222; }
.title { font-size: 16px; font-weight: 600; }
.group { font-weight: 600; }
.who { text-anchor: end; }
.note { fill: #666; font-size: 11px; text-anchor: middle; }
.ours { fill: #0b7a5a; }
.peer { fill: #a9b4c0; }
.spread { stroke: #444; stroke-width: 1.5; }
.limit { stroke: #c0392b; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd; }
  .note { fill: #999; }
  .peer { fill: #5a6672; }
  .ours { fill: #2fbf93; }
  .spread { stroke: #ccc; }
}
</style>"""
