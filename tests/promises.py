"""Write docs/promises.md: the promises of the engine, and their tests.

    python tests/promises.py

A test names what it shows by a mark: @pytest.mark.promise("undo").
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
PAGE = ROOT / "docs" / "promises.md"

PROMISES = {
    "version": "`@workflow(version=)`; a run keeps the version it began with",
    "timeout": '`@workflow(timeout="24h")`: a run ends in time',
    "deprecated": "`@workflow(deprecated=True)` still runs, and warns",
    "info": "`WorkflowInfo(name, version, timeout, deprecated)`",
    "context": "`ctx.version`, `workflow_name`, `started_at`, `owner`, "
    "`workflow_time()`, `elapsed()`",
    "low-level": "`is_step_completed`, `get_step_result`, "
    "`record_step_start`, `record_step_complete`, `record_step_failure`",
    "run-compensation": "`ctx.run_compensation()` undoes all in reverse",
    "fluent": "`ctx.step(…).timeout(…).compensate(…).optional().run()`",
    "step-status": "Steps are pending, running, completed, failed, "
    "compensated or skipped",
    "run-status": "Runs are pending, running, waiting, completed, "
    "compensating, compensated or failed",
    "rows": "Runs and steps are rows, with names, data, result, times, error",
    "undo": "An undo gets the result of its step; the last one comes first",
    "undo-crash": "A rollback survives crashes and deploys",
    "undo-fails": "A run is failed if a compensation failed as well",
    "undo-children": "What completed children have done is undone",
    "cancel": "A run that is cancelled undoes its completed steps",
    "registry": "`get_workflow(name)` is the latest, "
    "`get_workflow(name, version=1)` each",
    "start": "`ctx.start_workflow(name, input)` starts a run once",
    "start-http": 'A POST of `{"input": {…}}` to `/workflows/<name>/start`',
    "executor": "`WorkflowExecutor`: `start`, `resume`, `status`, `cancel`",
    "key": "An idempotency key from the run",
    "time": "The time of a workflow is the same at each replay",
}


def marked() -> dict[str, list[str]]:
    """Return the tests by the promise that they name, as "path::name"."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PROJECT.rglob("test_*.py")):
        text = path.read_text("utf-8")
        if "mark.promise(" not in text:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                for name in names(node):
                    where = path.relative_to(PROJECT).as_posix()
                    found[name].append(f"{where}::{node.name}")
    return found


def names(test: ast.FunctionDef) -> list[str]:
    return [
        ast.literal_eval(argument)
        for mark in test.decorator_list
        if isinstance(mark, ast.Call)
        and ast.unparse(mark.func) == "pytest.mark.promise"
        for argument in mark.args
    ]


def page() -> str:
    tests = marked()
    unknown = tests.keys() - PROMISES.keys()
    if unknown:
        raise SystemExit(f"{unknown} are not in PROMISES of {__file__}.")
    rows = [
        f"| {text} | {'<br>'.join(f'`{test}`' for test in tests[name])} |"
        for name, text in PROMISES.items()
    ]
    return "\n".join(
        [
            "# Promises of the language, and the tests that show them",
            "",
            "The table is written by `python tests/promises.py` from the "
            "marks of the tests.",
            "",
            "| Promise | Tests |",
            "|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
