#!/usr/bin/env python3
"""Take the sample or the embedded QStash server out of this project.

    python scripts/remove.py sample
    python scripts/remove.py qstash-server

It deletes their directories and cuts out what mentions them elsewhere. Git
has to know everything before, so that `git diff` shows what was done, and
`git checkout .` undoes it; FORCE=1 goes ahead anyway.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import pruning
from pruning import Gone
from pruning import Prune

PROJECT = Path(__file__).resolve().parent.parent
PRUNE: dict[str, Prune] = {
    ".py": pruning.python,
    ".importlinter": pruning.contracts,
    ".ts": pruning.document,
    ".toml": pruning.document,
    ".md": pruning.document,
    ".yaml": pruning.document,
    ".yml": pruning.document,
    ".env.example": pruning.document,
    "Makefile": pruning.document,
    "Procfile": pruning.document,
    ".dockerignore": pruning.document,
}


@dataclass(frozen=True)
class Part:
    """What can be taken out, and what its absence asks of the rest."""

    name: str
    paths: tuple[str, ...]
    gone: Gone
    # Rewrites of single places, each as a file, a pattern, a replacement.
    rewrites: tuple[tuple[str, str, str], ...] = ()
    targets: tuple[str, ...] = ()
    farewell: str = ""


SAMPLE = Part(
    name="sample",
    paths=(
        "orders",
        "payments_sandbox",
        "scripts/demo.py",
    ),
    gone=Gone(
        packages=frozenset({"orders", "payments_sandbox"}),
        apps=frozenset({"orders", "payments_sandbox"}),
        texts=re.compile(
            r"\b(?:PAYMENTS|ORDERS)_[A-Z]|\borders[_./]\w|payments_sandbox"
            r"|/api/(?:orders|products)|/sandbox|/payments/|\bprocess_order\b"
            r"|\b(?:load_products|settle_payments|demo\.py)\b"
        ),
        lines=re.compile(
            r"\b(?:PAYMENTS|ORDERS)_[A-Z]|\borders/|payments_sandbox"
            r"|^!?orders$|/api/(?:orders|products)|\bprocess_order\b"
            r"|\b(?:load_products|settle_payments)\b|\bmake demo\b"
            r"|[Pp]lace (?:an|the) order|scripts/demo\.py|remove-sample"
        ),
        names=re.compile(r"(?:PAYMENTS|ORDERS)_[A-Z_]+|SHOP"),
    ),
    rewrites=(
        ("config/variables.py", r"\borders@", "site@"),
        ("config/settings/base.py", r"\borders@", "site@"),
        ("pyproject.toml", r', "(?:orders|payments_sandbox)"', ""),
        (".md", r"(?m)^(?!#).*\b(?:an|the) order\b.*\n", ""),
        (".md", r"(`\w+`), (`\w+`) and `PAYMENTS_URL`", r"\1 and \2"),
        (".md", r", `PAYMENTS_URL` and", " and"),
        ("docs/reference.md", r"\bprocess_order\b", "my_workflow"),
        (
            "config/urls.py",
            r'include\("orders\.urls"\)',
            'TemplateView.as_view(template_name="core/start.html")',
        ),
        (
            "config/urls.py",
            r"from django\.urls import path\n",
            r"\g<0>from django.views.generic import TemplateView\n",
        ),
        ("README.md", r"; `orders/workflows\.py` is a long one", ""),
        ("scripts/dev.py", r"\bShop(?= +\{)", "Site"),
    ),
    targets=("demo", "remove-sample"),
    farewell=(
        "The shop is gone. Write your own: manage.py startapp, then a "
        "workflows.py in it; README.md has an example, and "
        "docs/concepts.md the rules."
    ),
)
SERVER = Part(
    name="qstash-server",
    paths=(
        "qstash_server",
        "django_hookflow/tests/http",
        "orders/tests/test_browser.py",
        "scripts/demo.py",
    ),
    gone=Gone(
        packages=frozenset(
            {
                "qstash_server",
                "django_hookflow.tests.http",
            }
        ),
        apps=frozenset(),
        texts=re.compile(
            r"qstash_server|\bdemo\.py\b|http://qstash:|starts the embedded"
        ),
        lines=re.compile(
            r"qstash_server|\bmake demo\b|^(?!dev:|#).*embedded QStash server"
            r"|scripts/demo\.py|remove-qstash-server|^  qstash:$"
        ),
        names=re.compile(r"(?!)"),
    ),
    rewrites=(
        (
            "config/variables.py",
            r'"http://127\.0\.0\.1:8080"',
            '"https://qstash.upstash.io"',
        ),
        (
            "config/variables.py",
            r'help="Where messages are published:[^)]*?",\n',
            'help="Where messages are published.",\n',
        ),
        ("Makefile", r"( the site) and the embedded QStash server", r"\1"),
        (
            ".env.example",
            r"(?m)^QSTASH_URL=http://.*$",
            "QSTASH_URL=https://qstash.upstash.io",
        ),
        ("compose.yaml", r"http://qstash:8080", "https://qstash.upstash.io"),
        ("config/variables.py", r' *fresh="qstash",\n', ""),
        (
            "config/variables.py",
            r"http://qstash:8080",
            "https://qstash.upstash.io",
        ),
        (
            "docs/reference.md",
            r"(?ms)^### `manage\.py qstash_server`\n.*?(?=^#)",
            "",
        ),
        (
            "docs/reference.md",
            r"; an address of this machine means the embedded server",
            "",
        ),
        ("docs/reference.md", r"(?m)^The embedded server also .*\n", ""),
    ),
    targets=("demo", "remove-qstash-server"),
    farewell=(
        "The embedded server is gone: `make dev` needs QStash in the cloud "
        "now, or another server of its kind. Put the four values of its "
        "console into .env, and let it reach this site: make tunnel."
    ),
)
PARTS = {part.name: part for part in (SAMPLE, SERVER)}


def main() -> int:
    part = PARTS.get(sys.argv[-1])
    if part is None:
        sys.exit(f"Name what to remove: {' or '.join(PARTS)}.")
    if not (PROJECT / part.paths[0]).exists():
        print(f"The {part.name} is not here any more; nothing was changed.")
        return 0
    if not os.environ.get("FORCE") and (why := unsaved()):
        sys.exit(why)
    report(part, delete(part), edit(part))
    return 0


def unsaved() -> str:
    """Why what is done here could not be undone; empty when it could."""
    try:
        status = git("status", "--porcelain").splitlines()
    except (OSError, subprocess.CalledProcessError):
        return (
            "Git does not know this project, so nothing could be undone: "
            "git init and commit first, or go ahead with FORCE=1."
        )
    if status:
        return (
            f"Not everything is committed (git status lists {len(status)}), "
            "so what is done here could not be told from your changes: "
            "commit or stash them first, or go ahead with FORCE=1."
        )
    return ""


def delete(part: Part) -> list[str]:
    """Delete what is the part's alone; what was there."""
    deleted = []
    for name in part.paths:
        path = PROJECT / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        else:
            continue
        deleted.append(name)
    return deleted


def edit(part: Part) -> list[str]:
    """Cut the part out of every other file; those that changed."""
    changed = []
    for path in files():
        before = path.read_text(encoding="utf-8")
        after = edited(path, before, part)
        if after == before:
            continue
        if is_lost(before, after, part.gone):
            path.unlink()
        else:
            path.write_text(after, encoding="utf-8", newline="\n")
        changed.append(name_of(path))
    return changed


def edited(path: Path, text: str, part: Part) -> str:
    for file, pattern, replacement in part.rewrites:
        if file in {name_of(path), path.suffix}:
            text = re.sub(pattern, replacement, text)
    if path.name == "Makefile":
        text = without_targets(text, part.targets)
    prune = PRUNE.get(path.suffix) or PRUNE[path.name]
    return prune(text, gone_from(path, part))


def gone_from(path: Path, part: Part) -> Gone:
    """What may not be spoken of there: only settings name an app barely."""
    if name_of(path).startswith("config/"):
        return part.gone
    return replace(part.gone, apps=frozenset())


def files() -> Iterator[Path]:
    """The files git knows or would add, but for these scripts."""
    ours = {"scripts/remove.py", "scripts/pruning.py"}
    listed = git("ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        path = PROJECT / name
        wanted = PRUNE.keys() & {path.suffix, path.name}
        if wanted and name not in ours and path.is_file():
            yield path


def without_targets(makefile: str, targets: tuple[str, ...]) -> str:
    """The Makefile without the rules of some targets, and their names."""
    names = "|".join(targets)
    rule = rf"^(?:{names}):.*\n(?:\t.*\n)*\n?"
    makefile = re.sub(rule, "", makefile, flags=re.MULTILINE)
    return re.sub(
        r"^\.PHONY:(?:.*\\\n)*.*$",
        lambda phony: re.sub(rf"(?<![\w-])(?:{names}) ", "", phony[0]),
        makefile,
        count=1,
        flags=re.MULTILINE,
    )


def is_lost(before: str, after: str, gone: Gone) -> bool:
    """Whether a module has lost all of its tests, or what it stood on."""
    emptied = pruning.has_tests(before) and not pruning.has_tests(after)
    return emptied or pruning.stands_on(before, gone)


def report(part: Part, deleted: list[str], changed: list[str]) -> None:
    print(f"Deleted {', '.join(deleted)}.")
    print(f"Changed {len(changed)} files; git diff --stat lists them.")
    print(part.farewell)
    print("Look at it with git diff, try make check, then commit.")


def name_of(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
