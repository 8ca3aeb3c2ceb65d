"""The protocol of contender and runner: one JSON object a line.

Standard library only, since it runs in the environment of each peer.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

MARKS = "BENCH_MARKS"
"""The variable that names the file of marks; unset, nothing is marked."""

MARK = struct.Struct("<cd")  # b"b" or b"e", and the time
PATIENCE = 900.0  # seconds for one measurement
RESULT = {"ok": True}  # what every step of every contender returns


def serve(handlers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests such as {"do": "steps", "runs": 1} until there is none.

    What a library prints goes to the log, not into the answers.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": handlers[request.pop("do")](**request)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def work(number: int, steps: int) -> dict[str, bool]:
    """Return the work of a step: none. The first and the last leave a mark."""
    if _marks and number == 0:
        mark(_marks, b"b")
    if _marks and number == steps - 1:
        mark(_marks, b"e")
    return RESULT


def mark_in(path: str) -> None:
    """Have this process, and those it starts, leave marks in a file."""
    global _marks
    os.environ[MARKS] = _marks = path


# Read once: to ask for it takes as long as a step's own work should.
_marks = os.environ.get(MARKS, "")


def mark(path: str, kind: bytes) -> None:
    """Append a time; processes may share the file, as appends are whole."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, MARK.pack(kind, time.time()))
    os.close(handle)


class Marks:
    """The times at which runs began and ended, in any process."""

    def __init__(self, path: str = "") -> None:
        """Open `path`, or a new file that child processes inherit."""
        if path:
            open(path, "w").close()
        else:
            handle, path = tempfile.mkstemp(prefix="bench-marks-")
            os.close(handle)
            mark_in(path)
        self.path = path

    def close(self) -> None:
        mark_in("")
        os.unlink(self.path)

    def times(self, kind: bytes) -> list[float]:
        with open(self.path, "rb") as file:
            content = file.read()
        return [at for found, at in MARK.iter_unpack(content) if found == kind]

    def wait_for(self, ended: int, pause: float = 0.001) -> None:
        """Until so many runs have ended; TimeoutError after PATIENCE."""
        wait_for(
            lambda: len(self.times(b"e")) >= ended,
            f"{ended} runs did not end",
            pause,
        )

    def elapsed(self) -> float:
        """Return the seconds from the first step of all to the last."""
        return max(self.times(b"e")) - min(self.times(b"b"))


def wait_for(is_so: Callable[[], bool], otherwise: str, pause: float) -> None:
    """Look again every `pause` seconds; TimeoutError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(pause)


def free_ports(count: int) -> list[int]:
    """Return ports at which no process listens."""
    with ExitStack() as held:  # all, so that none is picked twice
        ports = [
            held.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(count)
        ]
        return [port.getsockname()[1] for port in ports]


def throughput(
    enqueue: Callable[[], object],
    start: Callable[[], Sequence[subprocess.Popen[bytes]]],
    runs: int,
) -> float:
    """Return the seconds that workers take for runs which wait for them.

    The queue is filled first; the clock runs from the first step to the
    last, so neither filling it nor starting processes is counted.
    """
    marks = Marks()
    workers: Sequence[subprocess.Popen[bytes]] = ()
    try:
        enqueue()
        workers = start()
        marks.wait_for(runs, pause=0.02)
        return marks.elapsed()
    finally:
        stop(workers)
        marks.close()


def start_worker(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `python -m module worker …` in this environment."""
    return subprocess.Popen(
        [sys.executable, "-m", module, "worker", *arguments],
        stdin=subprocess.PIPE,
        stdout=2,
    )


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
