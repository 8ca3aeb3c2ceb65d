"""Ask the questions: `python -m benchmarks`, or `make bench`.

python -m benchmarks                    # all, some minutes
python -m benchmarks --quick            # tiny sizes, no peers
python -m benchmarks --only steps       # one, or several with commas
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from tqdm import tqdm

from benchmarks import questions
from benchmarks import report
from benchmarks.facts import facts
from benchmarks.figures import Answer
from benchmarks.lab import BUILD
from benchmarks.lab import Lab
from benchmarks.lab import lab
from benchmarks.sizes import FULL
from benchmarks.sizes import QUICK

OUT = BUILD / "bench"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    chosen = choose(options.only)
    sizes = QUICK if options.quick else FULL
    if options.rounds:
        sizes = replace(sizes, rounds=options.rounds)
    bar = tqdm(chosen, unit="question", disable=options.quiet)
    answers = []
    for picture in options.out.glob("*.svg"):
        picture.unlink()  # of an earlier run
    with lab(sizes, lambda what: bar.set_postfix_str(what)) as made:
        described = facts(made.postgres_version())
        for question in bar:
            bar.set_description(question.TITLE)
            answers.append(answer(question, made))
            write(options.out, answers, described)
    sys.stdout.write(report.as_markdown(answers, described))
    sys.stdout.write(f"\nWritten to {options.out}.\n")
    if options.doc:
        publish(options.out, options.doc)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks")
    made.add_argument("--quick", action="store_true", help="tiny sizes")
    made.add_argument("--quiet", action="store_true", help="no progress bar")
    made.add_argument("--only", default="", help="names, with commas")
    made.add_argument("--rounds", type=int, help="of each measurement")
    made.add_argument("--doc", type=Path, help="a page to put them into")
    made.add_argument("--out", type=Path, default=OUT, help="where to write")
    return made


def choose(only: str) -> list[ModuleType]:
    """Return the questions of these names, or all; exit if one is unknown."""
    found = {
        module.name: importlib.import_module(
            f"{questions.__name__}.{module.name}"
        )
        for module in pkgutil.iter_modules(questions.__path__)
    }
    names = [name for name in only.split(",") if name] or list(found)
    if unknown := [name for name in names if name not in found]:
        sys.exit(
            f"No question is named {unknown[0]!r}. "
            f"Choose among: {', '.join(sorted(found))}."
        )
    return sorted((found[name] for name in names), key=lambda q: q.ORDER)


def answer(question: ModuleType, made: Lab) -> Answer:
    began = time.monotonic()
    made.skipped.clear()
    figures = tuple(question.ask(made))
    return Answer(
        name=question.__name__.rsplit(".", 1)[-1],
        title=question.TITLE,
        note=question.NOTE,
        figures=figures,
        skipped=tuple(made.skipped),
        seconds=time.monotonic() - began,
    )


def write(
    folder: Path, answers: Sequence[Answer], described: dict[str, object]
) -> None:
    """After each question, so that an interrupted run leaves its results."""
    folder.mkdir(parents=True, exist_ok=True)
    content = report.as_json(answers, described)
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "results.md").write_text(report.as_markdown(answers, described))
    for answer in answers:
        if drawn := report.comparable(answer.figures):
            picture = report.as_svg(answer.title, drawn)
            (folder / f"{answer.name}.svg").write_text(picture)


def publish(folder: Path, page: Path) -> None:
    """Put the last results between the page's marks, pictures beside it."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    results = (folder / "results.md").read_text()
    page.write_text(f"{before}{BEGIN}\n\n{results}\n{END}{after}")
    for picture in folder.glob("*.svg"):
        shutil.copy(picture, page.parent / f"{page.stem}-{picture.name}")


if __name__ == "__main__":
    sys.exit(main())
