"""A contender as the runner sees it: a process that answers requests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"


class ContenderError(RuntimeError):
    """A measurement that did not work, with what the contender said."""

    def __init__(self, name: str, request: object, said: str) -> None:
        super().__init__(
            f"{name} did not answer {request}. It said:\n{said.strip()}"
        )


class Contender:
    """`python -m module`, kept running between rounds."""

    def __init__(
        self,
        name: str,
        module: str,
        *,
        python: str,
        variables: Mapping[str, str],
        log: Path,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [python, "-m", module],
                env=os.environ | variables,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Return the answer; raise ContenderError if there is none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = {"do": do, **arguments}
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ContenderError(self.name, request, self._tail())
        reply = json.loads(line)
        if "error" in reply:
            raise ContenderError(self.name, request, reply["error"])
        return reply["answer"]

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]
