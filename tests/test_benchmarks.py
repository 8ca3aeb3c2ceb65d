"""The benchmarks run, and what they write can be read."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.__main__ import BEGIN
from benchmarks.__main__ import END
from benchmarks.__main__ import choose
from benchmarks.__main__ import publish
from benchmarks.figures import Answer
from benchmarks.figures import Figure
from benchmarks.figures import Rounds
from benchmarks.figures import readable

ROOT = Path(__file__).resolve().parent.parent

FACTS: dict[str, Any] = {
    "cores": 2,
    "processor": "Z80",
    "memory_gb": 4,
    "system": "CP/M",
    "python": "3.12.1",
    "postgresql": "18.4",
    "sqlite": "3.40.1",
    "packages": {"django": "6.1.3"},
    "load_before": 0.1,
}

OURS = Figure(
    what="10 steps",
    who="hookflow",
    unit="µs per step",
    values=(200.0, 220.0, 240.0),
    limits=(100.0, 100.0, 100.0),
    target="at most 2.5 ×",
    below=2.5,
)
PEER = Figure(
    what="10 steps",
    who="A & B",
    unit="µs per step",
    values=(900.0,),
    limits=(100.0,),
)


@pytest.mark.slow
def test_every_question_is_answered_quickly(tmp_path: Path) -> None:
    asked = [question.__name__.rsplit(".", 1)[-1] for question in choose("")]
    asked.remove("template")  # make demo, which has tests of its own

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--quiet",
         "--only", ",".join(asked), "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    names = [question["name"] for question in results["questions"]]
    assert names == asked
    assert all(question["figures"] for question in results["questions"])
    assert "### Time per step" in done.stdout
    assert platform.node() not in (tmp_path / "results.json").read_text()


def test_every_question_says_what_it_compares() -> None:
    questions = choose("")

    assert len(questions) >= 9
    assert all(question.TITLE and question.NOTE for question in questions)
    orders = [question.ORDER for question in questions]
    assert orders == sorted(set(orders))


def test_a_question_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit, match="No question is named 'stepps'"):
        choose("stepps")


def test_a_ratio_is_taken_in_its_own_round() -> None:
    rounds = Rounds("µs")
    rounds.add("10 steps", "hookflow", 200.0, 100.0)
    rounds.add("10 steps", "hookflow", 900.0, 300.0)

    figure = rounds.figure("10 steps", "hookflow", below=2.0)

    assert figure.ratios == (2.0, 3.0)
    assert figure.verdict == "missed"


def test_a_table_has_a_line_for_each_figure() -> None:
    lines = list(report.table([OURS, PEER]))

    assert lines[2:] == [
        "| 10 steps | hookflow | 220 (200–240) µs per step | 100 "
        "| 2.20 (2–2.40) × | at most 2.5 ×, met |",
        "| 10 steps | A & B | 900 µs per step | 100 | 9 × |  |",
    ]


def test_a_report_names_the_machine_and_what_was_skipped() -> None:
    answer = Answer(
        name="steps",
        title="Time per step",
        note="Runs.",
        figures=(OURS,),
        skipped=("Celery was skipped.",),
    )

    text = report.as_markdown([answer], FACTS)

    assert text.startswith("2 cores (Z80), 4 GB, CP/M, Python 3.12.1, ")
    assert text.rstrip().endswith("Celery was skipped.")


def test_a_picture_is_drawn_of_what_can_be_compared() -> None:
    alone = replace(OURS, what="10 steps, SQLite")

    assert report.comparable([OURS, PEER, alone]) == [OURS, PEER]


def test_results_are_put_between_the_marks_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "results.md").write_text("new\n")
    (tmp_path / "steps.svg").write_text("<svg/>")
    page = tmp_path / "docs" / "performance.md"
    page.parent.mkdir()
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")

    publish(tmp_path, page)

    assert page.read_text() == (f"above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n")
    assert (page.parent / "performance-steps.svg").read_text() == "<svg/>"


def test_a_picture_is_well_formed_and_shows_each_contender() -> None:
    picture = report.as_svg("Time per step", [OURS, PEER])

    texts = [element.text for element in ElementTree.fromstring(picture)]
    assert {"hookflow", "A & B", "2.20 ×", "9 ×"} <= set(texts)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (12_345.6, "12,346"),
        (42.42, "42.4"),
        (3.0, "3"),
        (0.5, "0.50"),
        (0.004, "0.004"),
        (0.0, "0"),
    ],
)
def test_numbers_have_three_digits_that_matter(
    number: float, text: str
) -> None:
    assert readable(number) == text
