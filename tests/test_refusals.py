"""The error that cookiecutter's command line shows for a bad answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = ('"Order Desk".', '"order_desk".', '_shop".', '"shop.example.com".')


@pytest.mark.parametrize(
    "answer",
    [
        "project_slug=django",
        "project_slug=",
        "project_slug=../outside",
        "project_slug=Café Söhne",
        "project_slug=日本",
        "project_name=",
        "project_name=🚀",
        "project_name=one\ntwo",
        "project_name={braces}",
        "project_name={% raw %}",
        "project_name={{ 1/0 }}",
        "project_name={{ nothing.there }}",
        "project_name={{",
        "public_domain=http://x",
    ],
)
def test_a_refusal_is_one_sentence_with_an_example_and_leaves_no_trace(
    answer: str, template: Path, tmp_path: Path
) -> None:
    bake = cookiecutter(template, tmp_path, "--no-input", answer)

    lines = bake.stdout.strip().splitlines()
    assert bake.returncode == 1
    assert len(lines) == 1
    assert lines[0].endswith(EXAMPLES)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_typed_at_the_prompt_is_refused_in_the_same_way(
    template: Path, tmp_path: Path
) -> None:
    typed = "Order {{ 7*7 }} Desk\n\n\n\n\n\n\n"

    bake = cookiecutter(template, tmp_path, typed=typed)

    assert bake.returncode == 1
    assert bake.stdout.splitlines()[-1].endswith('"Order Desk".')
    assert "Traceback" not in bake.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_hook_refuses_answers_that_were_recorded_elsewhere(
    template: Path, tmp_path: Path
) -> None:
    hook = template / "hooks" / "pre_gen_project.py"
    recorded = tmp_path / "hook.py"
    text = hook.read_text().replace(
        "{{ cookiecutter | jsonify }}",
        '{"project_name": "D", "project_slug": "django"}',
    )
    recorded.write_text(text)

    run = subprocess.run(
        [sys.executable, recorded], capture_output=True, text=True
    )

    assert run.returncode == 1
    assert run.stderr.endswith('add a word, e.g. "django_shop".\n')
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("class", "class"),
        ("2fast", "2fast"),
        ("日本", "ri_ben"),
        ("Café Söhne", "cafe_sohne"),
        ('Alice\'s "Shop" \\ more', "alice_s_shop_more"),
    ],
)
def test_a_strange_name_gets_a_plain_slug(
    name: str, slug: str, template: Path, tmp_path: Path
) -> None:
    bake = cookiecutter(
        template, tmp_path, "--no-input", f"project_name={name}"
    )

    assert bake.returncode == 0, bake.stdout
    assert [path.name for path in tmp_path.iterdir()] == [slug]
    assert bake.stdout.startswith(f"{name} is ready in {slug}. Next steps:\n")


def cookiecutter(
    template: Path, folder: Path, *arguments: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command; its screen is `stdout`."""
    return subprocess.run(
        [sys.executable, "-m", "cookiecutter", template, "--default-config",
         "--output-dir", folder, *arguments],
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
