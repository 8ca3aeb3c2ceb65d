#!/usr/bin/env python
"""Play random histories against the engine, and say which seed broke it.

python scripts/simulate.py --n 20000            # SQLite, in memory
python scripts/simulate.py --only 4711          # one again, as told
python scripts/with_postgres.py python scripts/simulate.py
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")


def main() -> int:
    arguments = parse()
    first = arguments.only if arguments.only is not None else arguments.seed
    count = 1 if arguments.only is not None else arguments.n
    with database():
        return play(range(first, first + count))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--n", type=int, default=2000, help="histories to play (2000)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=secrets.randbelow(10**9),
        help="the first of their seeds (a random one)",
    )
    parser.add_argument("--only", type=int, help="play one seed again")
    return parser.parse_args()


def play(seeds: range) -> int:
    from tqdm import tqdm

    from django_hookflow.tests.simulation.runner import simulation

    with simulation() as stage:
        for seed in tqdm(seeds, unit=" histories", disable=None):
            report = stage.play(seed)
            if report is not None:
                print(f"\nThe history of seed {seed}, as short as it gets:")
                print(report)
                return 1
    print(
        f"{len(seeds):,} histories from seed {seeds.start}: "
        "every promise was kept."
    )
    return 0


@contextmanager
def database() -> Iterator[None]:
    """Yield with a migrated test database of the project's settings."""
    import django

    django.setup()
    logging.disable(logging.CRITICAL)  # deaths are what it is about

    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


if __name__ == "__main__":
    sys.exit(main())
