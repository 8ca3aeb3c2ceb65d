#!/usr/bin/env python3
"""Remove the sample or the embedded QStash server from this project.

    python scripts/remove.py {sample,qstash-server}

Deletes its paths, and the lines that comments mark: a line that ends with
"# sample", the lines from "# sample: begin" to "# sample: end". A line
"# without sample: TEXT" becomes TEXT. FORCE=1 allows uncommitted changes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PATHS = {
    "sample": "orders payments_sandbox scripts/demo.py"
    " django_hookflow/tests/http/shop",
    "qstash-server": "qstash_server scripts/demo.py "
    "orders/tests/test_browser.py django_hookflow/tests/http "
    "django_hookflow/contrib/observability/tests/test_gunicorn.py",
}
MENTIONS = {
    "sample": r"\b(orders|payments_sandbox)[./]|\b(PAYMENTS|ORDERS)_[A-Z]",
    "qstash-server": r"\bqstash_server\b",
}
NEXT = """See README.md and docs/concepts.md for how to write a workflow.
Without the embedded server, .env needs the values of the QStash console."""
# Where mentions may stay: files that are generated, or not the owner's.
OURS = ":!.env.example :!docs/configuration.md :!scripts/remove.py "
OURS += ":!docs/flows-api.schema.yml :!django_hookflow :!qstash_server"
OPENS = r"[ \t]*(?:#|;|//|<!--) "
CLOSES = r"(?: -->)?[ |]*\n"


def without(text: str, name: str) -> str:
    """Return the text without its marked lines; ValueError for a lone mark."""
    names = rf"(?P<names>(?:[\w-]+, )*{name}(?:, [\w-]+)*)"
    body = rf"(?:(?!{OPENS}(?P=names): begin).*\n)*?"
    lines = rf"{names}: begin{CLOSES}{body}{OPENS}(?P=names): end{CLOSES}"
    text = re.sub(rf"^{OPENS}{lines}", "", text, flags=re.M)
    text = re.sub(rf"^.*{OPENS}{names}{CLOSES}", "", text, flags=re.M)
    if lone := re.search(rf"^{OPENS}{names}: (?:begin|end)\b", text, re.M):
        raise ValueError(f'"{lone[0].strip()}" has no other end')
    return re.sub(rf"^([ \t]*)# without {name}: ", r"\1", text, flags=re.M)


def git(*arguments: str) -> list[str]:
    command = ["git", "-C", str(PROJECT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode > 1:  # 1 is a grep without a match
        sys.exit(f"{done.stderr}Run git init and commit first.")
    return done.stdout.splitlines()


def edited(name: str) -> dict[Path, str]:
    """Return the new text of each file with marked lines."""
    found = {}
    for file in git("grep", "-Ilw", name, "--", ":!scripts/remove.py"):
        before = (PROJECT / file).read_text(encoding="utf-8")
        try:
            after = without(before, name)
        except ValueError as error:
            sys.exit(f"{file}: {error}; nothing was changed.")
        if after != before:
            after = re.sub(r"\n{3,}", "\n\n", after)
            found[PROJECT / file] = after.rstrip() + "\n"
    return found


def main(name: str) -> None:
    if name not in PATHS:
        sys.exit(f"Name what to remove: {' or '.join(PATHS)}.")
    paths = [path for path in PATHS[name].split() if (PROJECT / path).exists()]
    if PATHS[name].split()[0] not in paths:
        return print(f"The {name} is not here any more; nothing was changed.")
    if not os.environ.get("FORCE") and (status := git("status", "--short")):
        sys.exit(
            f"Not everything is committed (git status lists {len(status)}): "
            "commit or stash first, or go ahead with FORCE=1."
        )
    for path, text in (texts := edited(name)).items():
        path.write_text(text, encoding="utf-8", newline="\n")
    for path in map(PROJECT.joinpath, paths):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"Deleted {', '.join(paths)}.")
    print(f"Changed {len(texts)} files; git diff --stat lists them.")
    if left := git("grep", "-InE", MENTIONS[name], "--", *OURS.split()):
        print(f"Edit what still mentions the {name}:", *left, sep="\n")
    print(NEXT)


if __name__ == "__main__":
    main(sys.argv[-1])
