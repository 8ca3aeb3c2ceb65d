"""The hooks' decisions, without baking."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import post_gen_project
import pre_gen_project
import pytest
from clean_copy import REPOSITORY

PROJECT = REPOSITORY / "{{cookiecutter.project_slug}}"
GOOD = {
    "project_name": "Order Desk",
    "project_slug": "order_desk",
    "author": "Ada Lovelace",
    "public_domain": "shop.example.com",
    "licence": "MIT",
    "ci_provider": "GitHub",
    "extras": "none",
}


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"project_slug": "class"},
        {"project_slug": "2fast"},
        {"project_slug": "a"},
        {"project_slug": "a" * 50},
        {"project_slug": "my-shop"},
        {"project_name": "日本 🚀"},
        {"project_name": "Café Söhne"},
        {"project_name": """Alice's "Shop" \\ `$HOME` <b> & 'more'"""},
        {"author": "Søren & Søn"},
        {"project_name": "x" * 80, "author": "x" * 80 + " authors"},
        {"public_domain": "xn--bcher-kva.example"},
        {"public_domain": "a.b.c.example.co.uk"},
    ],
)
def test_a_good_answer_is_not_refused(answers: dict[str, str]) -> None:
    assert pre_gen_project.refusal(GOOD | answers) == ""


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        (
            "project_name",
            " ",
            'The project name is empty: type a few words, e.g. "Order Desk".',
        ),
        (
            "project_name",
            "x" * 81,
            "The project name has 81 characters: use at most 80, "
            'e.g. "Order Desk".',
        ),
        (
            "author",
            "x" * 89,
            "The author has 89 characters: use at most 88, "
            'e.g. "Ada Lovelace".',
        ),
        (
            "project_name",
            "one\ntwo",
            'Invalid project name "one\\ntwo": remove line breaks, control '
            'characters and braces, e.g. "Order Desk".',
        ),
        (
            "author",
            "{{ 7*7 }}",
            'Invalid author "{{ 7*7 }}": remove line breaks, control '
            'characters and braces, e.g. "Ada Lovelace".',
        ),
        (
            "project_slug",
            "Café Söhne",
            'Invalid slug "Café Söhne": use a-z, 0-9, "_" and "-", and '
            'start and end with a letter or digit, e.g. "order_desk".',
        ),
        (
            "project_slug",
            "",
            'The slug is empty: type one, e.g. "order_desk".',
        ),
        (
            "project_slug",
            "s" * 51,
            'The slug has 51 characters: use at most 50, e.g. "order_desk".',
        ),
        (
            "project_slug",
            "django",
            'The slug "django" is already the name of a package or of a '
            'system device: add a word, e.g. "django_shop".',
        ),
        (
            "public_domain",
            "https://shop.example.com/",
            'Invalid public domain "https://shop.example.com/": expected a '
            'lower-case host name without "https://" and path, '
            'e.g. "shop.example.com".',
        ),
    ],
)
def test_a_bad_answer_is_refused_with_a_sentence_and_an_example(
    question: str, answer: str, sentence: str
) -> None:
    refusal = pre_gen_project.refusal(GOOD | {question: answer})

    assert refusal == sentence


@pytest.mark.parametrize("name", ["🚀", '"""', "--- !"])
def test_a_name_without_letters_is_told_to_need_a_slug(name: str) -> None:
    refusal = pre_gen_project.refusal(
        GOOD | {"project_name": name, "project_slug": ""}
    )

    assert refusal == (
        f"Cannot make a slug from {json.dumps(name, ensure_ascii=False)}: "
        'type one, e.g. "order_desk".'
    )


@pytest.mark.parametrize(
    "slug",
    [
        "", "日本", "🚀", "a b", "a'b", 'a"b', "a\\b", "a/b", "..", "-a",
        "a-", "_a", "{a}", "a\n", "A", "a.b", "é", "a\udcff",
    ],
)  # fmt: skip
def test_a_slug_that_names_no_directory_is_refused(slug: str) -> None:
    refusal = pre_gen_project.refusal(GOOD | {"project_slug": slug})

    assert refusal.startswith(("The slug ", "Invalid slug "))
    assert refusal.endswith('e.g. "order_desk".')
    assert len(refusal.encode().splitlines()) == 1


@pytest.mark.parametrize(
    "slug",
    [
        "qstash", "config", "orders", "django_hookflow", "django-hookflow",
        "payments_sandbox", "tests", "pyjwt", "psycopg_binary", "con",
        "lpt1",
    ],
)  # fmt: skip
def test_a_slug_that_is_taken_is_refused(slug: str) -> None:
    refusal = pre_gen_project.refusal(GOOD | {"project_slug": slug})

    assert refusal.endswith(f'add a word, e.g. "{slug}_shop".')


@pytest.mark.parametrize(
    "domain", ["", "localhost", "a_b.example", "a..b", "a.b:80", "Ä.example"]
)
def test_a_domain_that_is_no_host_name_is_refused(domain: str) -> None:
    refusal = pre_gen_project.refusal(GOOD | {"public_domain": domain})

    assert refusal.endswith('e.g. "shop.example.com".')


def test_every_package_of_the_project_is_reserved() -> None:
    folders = {path.name for path in PROJECT.iterdir() if path.is_dir()}
    visible = {name for name in folders if name[0] not in "._"}

    assert visible <= pre_gen_project.OUR_PACKAGES


def test_every_dependency_of_the_project_is_reserved() -> None:
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    requirements = [
        *pyproject["project"]["dependencies"],
        *pyproject["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[\[=<>~;]", line)[0].strip() for line in requirements}

    assert names <= pre_gen_project.DEPENDENCIES


def test_every_package_those_dependencies_bring_is_reserved() -> None:
    """Nothing may be installed here that a project could be named after."""
    only_here = {
        "annotated-doc", "arrow", "binaryornot", "cookiecutter", "cruft",
        "gitdb", "gitpython", "jinja2", "markupsafe", "pytest-cookies",
        "python-dateutil", "python-slugify", "shellingham", "six", "smmap",
        "text-unidecode", "typer",
    }  # fmt: skip
    installed = {
        pre_gen_project.same_name(found.name) for found in distributions()
    }

    assert installed - only_here <= pre_gen_project.RESERVED


def test_the_hooks_use_the_standard_library_only() -> None:
    for hook in (REPOSITORY / "hooks").glob("*.py"):
        imports = re.findall(
            r"^\s*(?:from|import) (\w+)", hook.read_text(), re.MULTILINE
        )

        assert set(imports) <= sys.stdlib_module_names, hook.name


@pytest.mark.parametrize(
    "licence", ["MIT", "BSD-3-Clause", "Apache-2.0", "proprietary"]
)
def test_finishing_renames_the_project_and_keeps_one_licence(
    licence: str, tmp_path: Path
) -> None:
    copy_what_is_finished(tmp_path)

    post_gen_project.finish(tmp_path, GOOD | {"licence": licence})

    pyproject = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    chosen = PROJECT / f"LICENSE.{licence}"
    assert pyproject["project"]["name"] == "order_desk"
    assert (tmp_path / "config/name.txt").read_bytes() == b"Order Desk\n"
    assert (tmp_path / "LICENSE").read_bytes() == chosen.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        ".github",
        ".gitignore",
        "LICENSE",
        "config",
        "pyproject.toml",
        "scripts",
    }


@pytest.mark.parametrize(
    ("provider", "kept"),
    [
        ("GitHub", {".github"}),
        ("GitLab", {".gitlab-ci.yml"}),
        ("none", set()),
    ],
)
def test_finishing_keeps_what_the_provider_of_ci_reads(
    provider: str, kept: set[str], tmp_path: Path
) -> None:
    copy_what_is_finished(tmp_path)

    post_gen_project.finish(tmp_path, GOOD | {"ci_provider": provider})

    found = {path.name for path in tmp_path.glob(".git*")}
    assert found == kept | {".gitignore"}


def copy_what_is_finished(folder: Path) -> None:
    """The files that the last hook of a bake looks at."""
    for text in PROJECT.glob("LICENSE.*"):
        shutil.copy(text, folder)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    shutil.copy(PROJECT / ".gitignore", folder)
    shutil.copy(PROJECT / ".gitlab-ci.yml", folder)
    shutil.copytree(PROJECT / ".github", folder / ".github")
    (folder / "config").mkdir()
    shutil.copy(PROJECT / "config" / "name.txt", folder / "config")
    (folder / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "remove.py", folder / "scripts")


def test_the_farewell_says_what_is_next_in_five_lines() -> None:
    farewell = post_gen_project.farewell(GOOD)

    assert len(farewell.splitlines()) == 5
    assert "cd order_desk" in farewell
    assert "make dev" in farewell


def test_the_question_of_the_licence_offers_the_texts_there_are() -> None:
    questions = json.loads((REPOSITORY / "cookiecutter.json").read_text())

    texts = {path.suffix for path in PROJECT.glob("LICENSE.MIT")}
    offered = {f"LICENSE.{licence}" for licence in questions["licence"]}
    assert texts == {".MIT"}
    assert offered == {path.name for path in PROJECT.glob("LICENSE.*")}


def test_the_question_of_ci_offers_the_providers_there_are() -> None:
    questions = json.loads((REPOSITORY / "cookiecutter.json").read_text())

    providers = [*post_gen_project.CI_FILES, "none"]
    assert questions["ci_provider"] == providers
    assert set(questions["__prompts__"]["ci_provider"]) == {
        "__prompt__",
        *providers,
    }


def test_the_question_of_extras_offers_those_there_are() -> None:
    questions = json.loads((REPOSITORY / "cookiecutter.json").read_text())

    extras = ["none", *post_gen_project.EXTRAS]
    assert questions["extras"] == extras
    assert set(questions["__prompts__"]["extras"]) == {"__prompt__", *extras}


def test_the_section_of_an_extra_goes_from_both_generated_pages() -> None:
    without = post_gen_project.without_section

    example = "# --- One ---\n\nA=\n\n# --- Two ---\n\nB=\n\n# --- End ---\n"
    assert without(example, "Two") == (
        "# --- One ---\n\nA=\n\n# --- End ---\n"
    )
    assert without("## One\n\na\n\n## Two\n\nb\n", "Two") == "## One\n\na\n\n"
