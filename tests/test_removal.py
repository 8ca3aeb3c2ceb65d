"""The sample and the embedded server can go, and the rest still holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from owner import Owner

# What must hold in any project, whatever is left of it.
FEW = "tests"

# The page at the address that `make dev` prints.
START_PAGE = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
import django
django.setup()
from django.test import Client
answer = Client().get("/")
print(answer.status_code)
print(answer.content.decode())
"""

# What a removal may break in the engine's tests are names and settings: the
# rest is run in the template.
ENOUGH = "-k 'not twice' --ignore=django_hookflow/tests/simulation"

# How a workflow is written, whatever else is there.
PAGES = ("docs/concepts.md", "docs/reference.md")

WAYS = [
    ["remove-sample"],
    ["remove-qstash-server"],
    ["remove-sample", "remove-qstash-server"],
]


def test_what_is_left_passes_its_checks(owner: Owner) -> None:
    remove(owner, ["remove-qstash-server", "remove-sample"])

    owner.makes("check")
    owner.makes("test", f"ARGS=-q {FEW}")


@pytest.mark.slow
@pytest.mark.parametrize("targets", WAYS, ids=" ".join)
def test_what_is_left_passes_all_its_tests_and_hooks(
    targets: list[str], owner: Owner
) -> None:
    remove(owner, targets)

    owner.makes("hooks")
    owner.makes("test", "ARGS=-q -n 2")
    owner.makes("test-engine", f"ARGS=-q -n 2 {ENOUGH}")


def test_nothing_of_the_sample_is_left(owner: Owner) -> None:
    remove(owner, ["remove-sample"])

    assert not (owner.project / "orders").exists()
    assert not (owner.project / "payments_sandbox").exists()
    assert mentions(owner, "payments_sandbox|PAYMENTS_|ORDERS_") == []
    assert "demo" not in owner.types("make help")


def test_what_is_left_still_says_how_to_write_a_workflow(
    owner: Owner,
) -> None:
    kept = {name: lines_of(owner, name) for name in PAGES}

    screen = owner.makes("remove-sample")

    assert "docs/concepts.md" in screen
    assert re.search(
        r"^Changed \d+ files; git diff --stat lists them\.$", screen, re.M
    )
    assert {name: lines_of(owner, name) for name in PAGES} == kept
    assert "\n@workflow\n" in (owner.project / "README.md").read_text()


def test_what_is_left_has_a_start_page(owner: Owner) -> None:
    remove(owner, ["remove-sample"])

    page = owner.types(f"python -c '{START_PAGE}'")

    assert page.startswith("200\n")
    assert "The site is running" in page
    assert 'href="/admin/"' in page


def test_nothing_of_the_embedded_server_is_left(owner: Owner) -> None:
    remove(owner, ["remove-qstash-server"])

    assert not (owner.project / "qstash_server").exists()
    assert mentions(owner, "qstash_server|manage.py qstash_") == []
    example = (owner.project / ".env.example").read_text(encoding="utf-8")
    assert "\nQSTASH_URL=https://qstash.upstash.io\n" in example


@pytest.mark.parametrize("name", ["sample", "qstash-server"])
def test_a_project_with_changes_is_left_alone(name: str, owner: Owner) -> None:
    (owner.project / "README.md").write_text("Ours.\n")

    refused = owner.tries("python", "scripts/remove.py", name)

    assert refused.returncode == 1
    assert refused.stdout == (
        "Not everything is committed (git status lists 1): commit or stash "
        "first, or go ahead with FORCE=1.\n"
    )
    assert owner.types("git status --short") == " M README.md\n"


def test_force_goes_ahead(owner: Owner) -> None:
    (owner.project / "README.md").write_text("Ours.\n")

    owner.types("FORCE=1 python scripts/remove.py sample")

    assert not (owner.project / "orders").exists()
    assert (owner.project / "README.md").read_text() == "Ours.\n"


def test_removing_twice_changes_nothing(owner: Owner) -> None:
    remove(owner, ["remove-sample"])

    screen = owner.types("python scripts/remove.py sample")

    assert screen == "The sample is not here any more; nothing was changed.\n"
    assert owner.types("git status --short") == ""


def test_what_the_owner_wrote_beside_the_sample_stays(owner: Owner) -> None:
    settings = owner.project / "config" / "settings" / "base.py"
    write(
        settings,
        settings.read_text(encoding="utf-8").replace(
            '    "orders",  # sample\n',
            '    "orders",  # sample\n    "django.contrib.sites",\n',
        )
        + "\n# Ours.\nSITE_ID = 1  # not PAYMENTS_URL\n",
    )
    owner.commits("Ours")

    remove(owner, ["remove-sample"])

    text = settings.read_text(encoding="utf-8")
    assert '    "django.contrib.sites",\n]' in text
    assert text.endswith("\n# Ours.\nSITE_ID = 1  # not PAYMENTS_URL\n")


def test_lines_of_the_owner_that_mention_the_sample_are_listed(
    owner: Owner,
) -> None:
    report = owner.project / "core" / "report.py"
    write(report, "# Ours.\nfrom orders.models import Order\n\nprint(Order)\n")
    owner.commits("Ours")

    screen = owner.makes("remove-sample")

    assert (
        "Edit what still mentions the sample:\n"
        "core/report.py:2:from orders.models import Order\n"
    ) in screen


def test_no_line_is_listed_when_nothing_of_the_owner_mentions_it(
    owner: Owner,
) -> None:
    for target in ("remove-sample", "remove-qstash-server"):
        assert "Edit what" not in owner.makes(target)
        owner.commits(target)


def test_a_mark_without_its_end_changes_nothing(owner: Owner) -> None:
    test = owner.project / "config" / "settings" / "test.py"
    text = test.read_text(encoding="utf-8")
    write(test, text.replace("# sample: end\n", ""))
    owner.commits("Ours")

    refused = owner.tries("python", "scripts/remove.py", "sample")

    assert refused.returncode == 1
    assert refused.stdout == (
        'config/settings/test.py: "# sample: begin" has no other end; '
        "nothing was changed.\n"
    )
    assert owner.types("git status --short") == ""


def test_no_mark_is_left(owner: Owner) -> None:
    remove(owner, ["remove-sample", "remove-qstash-server"])

    marks = r"(sample|qstash-server)(: (begin|end)|: |( -->)?[ |]*$)"
    found = owner.tries(
        "git", "grep", "-nE", f"(#|;|//|<!--) (without )?{marks}",
        "--", ":!scripts/remove.py",
    )  # fmt: skip
    assert found.stdout == ""


def test_the_command_is_short_and_needs_no_syntax_tree(owner: Owner) -> None:
    text = (owner.project / "scripts" / "remove.py").read_text("utf-8")

    assert text.count("\n") < 100
    assert "import ast" not in text


def test_the_reference_does_without_the_embedded_server(
    owner: Owner,
) -> None:
    remove(owner, ["remove-qstash-server"])

    page = (owner.project / "docs" / "reference.md").read_text("utf-8")
    assert "embedded server" not in page.replace("or the embedded server", "")
    assert "--time-scale" not in page


def remove(owner: Owner, targets: list[str]) -> None:
    for target in targets:
        owner.makes(target)
        owner.commits(target)


def mentions(owner: Owner, pattern: str) -> list[str]:
    """Return the files that still mention it, except scripts/remove.py."""
    found = owner.tries(
        "git", "grep", "--extended-regexp", "--files-with-matches", pattern,
        "--", ":!scripts/remove.py", ":!django_hookflow",
    )  # fmt: skip
    return found.stdout.splitlines()


def lines_of(owner: Owner, page: str) -> int:
    return (owner.project / page).read_text("utf-8").count("\n")


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
