"""The engine of the template, in this process."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import django

from benchmarks.contenders.wire import Marks
from benchmarks.contenders.wire import serve
from benchmarks.contenders.wire import start_worker
from benchmarks.contenders.wire import throughput
from benchmarks.contenders.wire import wait_for

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db import transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django_hookflow import clock  # noqa: E402
from django_hookflow import engine  # noqa: E402
from django_hookflow import send_event  # noqa: E402
from django_hookflow.delivery import Delivery  # noqa: E402
from django_hookflow.models import WorkflowRun  # noqa: E402
from django_hookflow.operations import maintenance  # noqa: E402
from django_hookflow.persistence import WorkflowPersistence  # noqa: E402
from django_hookflow.states import RunStatus  # noqa: E402
from qstash_server.models import Message  # noqa: E402
from qstash_server.models import State  # noqa: E402

from benchmarks.project.transport import DirectTransport  # noqa: E402
from benchmarks.project.workflows import bench_event  # noqa: E402
from benchmarks.project.workflows import bench_nap  # noqa: E402
from benchmarks.project.workflows import bench_steps  # noqa: E402

sent = DirectTransport.sent
MODULE = "benchmarks.contenders.ours"
THREADS = 4  # that trigger, as the requests of a site do
PAUSE = 0.005  # seconds between two looks at the database


def migrate() -> None:
    call_command("migrate", verbosity=0)


def advance_all() -> int:
    """Deliver what was sent until nothing is; returns how many."""
    deliveries = 0
    while sent:
        engine.advance(sent.popleft())
        deliveries += 1
    return deliveries


def steps(steps: int, runs: int) -> float:
    """Return the seconds for runs in sequence, trigger to last commit."""
    began = time.perf_counter()
    for _ in range(runs):
        bench_steps.trigger({"steps": steps})
        advance_all()
    return time.perf_counter() - began


def many(steps: int, runs: int, workers: int) -> float:
    """Return the seconds for runs shared by worker processes."""
    for _ in range(runs):
        bench_steps.trigger({"steps": steps})
    waiting = [[d.run_id, d.workflow_id, d.token] for d in sent]
    sent.clear()

    def start() -> list[subprocess.Popen[bytes]]:
        started = [start_worker(MODULE) for _ in range(workers)]
        for number, process in enumerate(started):
            share = json.dumps(waiting[number::workers]).encode()
            assert process.stdin is not None
            process.stdin.write(share)
            process.stdin.close()
        return started

    return throughput(lambda: None, start, runs)


def worker() -> None:
    """Advance the runs that stdin names."""
    for run_id, workflow_id, token in json.load(sys.stdin):
        engine.advance(
            Delivery(run_id=run_id, workflow_id=workflow_id, token=token)
        )


def many_over_http(steps: int, runs: int, path: str) -> float:
    """Return the seconds from first trigger to last step, by a site."""
    marks = Marks(path)
    began = time.time()
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in range(runs):
            threads.submit(bench_steps.trigger, {"steps": steps})
        marks.wait_for(runs, pause=0.02)
    return max(marks.times(b"e")) - began


def publish(count: int) -> list[float]:
    """Return the seconds of each trigger with COMMIT and message."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        run_id = bench_steps.trigger({"steps": 0})
        seconds.append(time.perf_counter() - began)
        wait_until(run_id, RunStatus.COMPLETED)
    return seconds


def wake(count: int, path: str) -> list[float]:
    """Return the seconds from send_event to its step, by a site."""
    seconds = []
    for _ in range(count):
        marks = Marks(path)
        run_id = bench_event.trigger({"marks": path})
        wait_until(run_id, RunStatus.WAITING)
        wait_until_quiet()
        began = time.time()
        send_event("bench", run_id=run_id)
        marks.wait_for(1)
        seconds.append(marks.times(b"e")[0] - began)
    return seconds


def wait_until(run_id: str, status: str) -> None:
    runs = WorkflowRun.objects.filter(run_id=run_id, status=status)
    wait_for(runs.exists, f"{run_id} is not {status}", PAUSE)


def wait_until_quiet() -> None:
    """Until the server has written down that its deliveries have ended.

    A run waits a little before the delivery that brought it there is over,
    and sharing two cores with it would be measured as latency of an event.
    """
    active = Message.objects.filter(state=State.ACTIVE)
    wait_for(lambda: not active.exists(), "a delivery does not end", PAUSE)


def trigger(count: int) -> list[float]:
    """Return the seconds of each trigger inside an open transaction."""
    seconds = []
    with transaction.atomic():
        for _ in range(count):
            began = time.perf_counter()
            bench_steps.trigger({"steps": 1})
            seconds.append(time.perf_counter() - began)
        transaction.set_rollback(True)
    return seconds


def costs(steps: int) -> dict[str, int]:
    """Return counts of statements, messages and bytes of one run."""
    with CaptureQueriesContext(connection) as triggering:
        bench_steps.trigger({"steps": steps})
    statements, messages, size = 0, 0, 0
    while sent:
        delivery = sent.popleft()
        messages += 1
        size += len(delivery.encode())
        with CaptureQueriesContext(connection) as delivering:
            engine.advance(delivery)
        statements += len(delivering)
    return {
        "trigger": len(triggering),
        "statements": statements,
        "messages": messages,
        "bytes": size,
    }


def replay(steps: int, times: int) -> list[float]:
    """Return the seconds of deliveries that only replay steps."""
    bench_nap.trigger({"steps": steps})
    engine.advance(sent.popleft())
    while not napping(sent[0]):
        engine.advance(sent.popleft())
    seconds = []
    for _ in range(times):
        bell = sent.popleft()
        began = time.perf_counter()
        engine.advance(bell)
        seconds.append(time.perf_counter() - began)
    sent.clear()
    return seconds


def napping(bell: Delivery) -> bool:
    """Return True if a run has done its steps and sleeps."""
    soon = clock.now() + timedelta(days=1)
    return bell.not_before is not None and bell.not_before > soon


def memory(steps: int) -> int:
    """Return the peak kilobytes of this process after a run of `steps`."""
    bench_steps.trigger({"steps": steps})
    advance_all()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def recovery(runs: int) -> dict[str, float]:
    """Return the seconds to sweep runs of dead workers and finish them."""
    died = clock.now() - timedelta(hours=1)
    WorkflowRun.objects.bulk_create(
        [
            WorkflowRun(
                run_id=f"lost-{n}-{died.timestamp()}",
                workflow_id=bench_steps.workflow_id,
                root_id=f"lost-{n}",
                data={"steps": 1},
                status=RunStatus.RUNNING,
                wake_token=f"token-{n}",
                wake_at=died,
                sweep_at=died,
                lease_token=f"dead-{n}",
                lease_until=died,
                created_at=died,
            )
            for n in range(runs)
        ],
        batch_size=1000,
    )
    sweeping, moving = 0.0, 0.0
    while True:
        began = time.perf_counter()
        found = maintenance.sweep()
        sweeping += time.perf_counter() - began
        began = time.perf_counter()
        advance_all()
        moving += time.perf_counter() - began
        if not found:
            return {"sweep": sweeping, "move": moving}


def cleanup(runs: int, steps: int) -> dict[str, float]:
    """Return the seconds to delete so many runs that ended long ago."""
    ended = clock.now() - timedelta(days=90)
    with connection.cursor() as cursor:
        cursor.execute(OLD_RUNS, [ended, ended, ended, runs])
        cursor.execute(OLD_STEPS, [ended, ended, steps])
        cursor.execute("ANALYZE")
    expired = WorkflowPersistence.expired(ended + timedelta(days=1))
    times = [time.perf_counter()]
    for _ in WorkflowPersistence.delete_expired(expired.runs):
        times.append(time.perf_counter())
    batches = [after - before for before, after in pairwise(times)]
    return {"seconds": times[-1] - times[0], "longest": max(batches)}


OLD_RUNS = """
INSERT INTO django_hookflow_workflowrun
    (run_id, workflow_id, version, owner, root_id, parent_step, branch, depth,
     status, data, error_type, error_message, error_step, wake_token,
     lease_token, requested, attempts, crashes, deliveries, messages,
     attributes, trace, created_at, started_at, completed_at)
SELECT 'old-' || n, 'bench_steps', 1, '', 'old-' || n, '', 0, 0, 'completed',
    '{}', '', '', '', '', '', '', 0, 0, 1, 1, '{}', '', %s, %s, %s
FROM generate_series(1, %s) AS n
"""
OLD_STEPS = """
INSERT INTO django_hookflow_stepexecution
    (workflow_run_id, step_id, kind, status, position, result, error_type,
     error_message, attempts, deliveries, started_at, executed_at,
     event_name, event_match)
SELECT run.id, 'step-' || n, 'run', 'completed', n, '{"ok": true}', '', '',
    1, 1, %s, %s, '', ''
FROM django_hookflow_workflowrun AS run, generate_series(1, %s) AS n
WHERE run.run_id LIKE 'old-%%'
"""


HANDLERS: dict[str, Any] = {
    "steps": steps,
    "many": many,
    "ready": lambda: True,
    "many_over_http": many_over_http,
    "publish": publish,
    "wake": wake,
    "trigger": trigger,
    "costs": costs,
    "replay": replay,
    "memory": memory,
    "recovery": recovery,
    "cleanup": cleanup,
}

if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        worker()
    else:
        migrate()
        serve(HANDLERS)
