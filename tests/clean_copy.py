#!/usr/bin/env python3
"""Copy the files git knows, as they are now, to an empty directory.

    python3 tests/clean_copy.py DIRECTORY

Cookiecutter bakes whatever lies in a local template, also databases and
caches. A bake of this copy is the same for every user.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def tracked_files(folder: Path = REPOSITORY) -> set[str]:
    """Return the files of `folder` that git knows, as relative paths."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = filter(None, listing.split("\0"))
    return {name for name in names if (folder / name).exists()}


def clean_copy(destination: Path) -> Path:
    """Copy the repository's tracked files there; `destination` itself."""
    for name in sorted(tracked_files()):
        copy = destination / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, copy)
    return destination


if __name__ == "__main__":
    clean_copy(Path(sys.argv[1]))
