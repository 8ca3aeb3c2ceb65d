"""The pages on deployment: their commands are correct."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from config.variables import VARIABLES
from django.core.management import call_command
from django.test import Client

from .commands import check_manage
from .commands import commands_of
from .commands import manage_lines
from .hosts import PROJECT
from .hosts import cloud_run

DOCS = PROJECT / "docs"
INDEX = DOCS / "deployment.md"
# compose.md has tests of its own.
HOSTS = sorted(
    set(DOCS.glob("deployment/*.md")) - {DOCS / "deployment/compose.md"}
)
PAGES = [INDEX, *HOSTS]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
host_pages = pytest.mark.parametrize("page", HOSTS, ids=lambda page: page.stem)


# The commands of the hosts with the options used here, as their own
# references spell them. Looked up in August 2026: fly.io/docs/flyctl,
# docs.railway.com/cli, devcenter.heroku.com/articles/heroku-cli-commands,
# render.com/docs/cli, cloud.google.com/sdk/gcloud/reference, kubectl 1.32.
KNOWN = {
    "fly": {
        "apps create": "",
        "auth login": "",
        "certs add": "--config",
        "config validate": "--strict --config",
        "deploy": "--config --image",
        "logs": "--config",
        "mpg attach": "--app",
        "mpg backup list": "",
        "mpg create": "--name --plan --region --pg-major-version",
        "mpg list": "",
        "mpg restore": "",
        "releases": "--image --config",
        "scale count": "--config",
        "secrets import": "--stage --config",
        "secrets set": "",
        "ssh console": "--config --pty --command",
    },
    "gcloud": {
        "artifacts repositories create": "--repository-format --location",
        "auth configure-docker": "",
        "auth login": "",
        "beta run domain-mappings create": "--service --domain",
        "config set": "",
        "run jobs deploy": "--image --set-secrets --set-env-vars "
        "--max-retries --command --args",
        "run jobs execute": "--wait --args --update-env-vars",
        "run revisions list": "--service",
        "run services add-iam-policy-binding": "--member --role",
        "run services logs read": "--limit",
        "run services replace": "",
        "run services update-traffic": "--to-revisions",
        "secrets add-iam-policy-binding": "--member --role",
        "secrets create": "--data-file",
        "secrets versions add": "--data-file",
        "services enable": "",
    },
    "heroku": {
        "addons:create": "--app --wait",
        "config:set": "--app",
        "create": "--region",
        "login": "",
        "logs": "--tail --app",
        "pg:backups:schedule": "--at --app",
        "ps:scale": "--app",
        "releases:rollback": "--app",
        "run": "--app",
    },
    "kubectl": {
        "apply": "--filename --kustomize",
        "create secret generic": "--namespace --from-env-file",
        "delete job": "--namespace --ignore-not-found",
        "exec": "--namespace --stdin --tty",
        "logs": "--selector --namespace --follow",
        "rollout status": "--namespace",
        "rollout undo": "--namespace",
        "scale": "--namespace --replicas",
        "wait": "--for --namespace --timeout",
    },
    "railway": {
        "add": "--service",
        "config apply": "--file",
        "config plan": "--file",
        "domain": "--service --port",
        "init": "--name",
        "login": "",
        "logs": "--service",
        "ssh": "--service",
        "up": "--service",
        "variable set": "--service --skip-deploys",
    },
    "render": {
        "blueprints validate": "",
        "logs": "--resources --tail",
    },
}
ENV = "production.env"
OF_DJANGO = "DJANGO_SUPERUSER_PASSWORD"  # its createsuperuser reads it
PLAIN = {
    "cd", "curl", "docker", "echo", "git", "grep", "journalctl", "rm", "scp",
    "sed", "sudo", "systemctl", "systemd-analyze", "xargs",
}  # fmt: skip


def host_commands(text: str) -> Iterator[list[str]]:
    """Yield each command of a host's own program, wherever the page has it."""
    tool = rf"(?<![\w./-])(?:{'|'.join(KNOWN)}) [a-z][^`|\n]*"
    for found in re.findall(tool, re.sub(r"`([a-z]+)`", "", text)):
        with_words = found.rstrip(" .,:")
        if re.match(r"\w+ (?:[a-z][\w:-]*)(?: |$)", with_words):
            yield shlex.split(with_words.replace("'", ""))


@pages
def test_each_command_of_a_host_is_spelled_as_it_spells_it(
    page: Path,
) -> None:
    consoles = "\n".join(one.text for one in commands_of(page))
    inline = "\n".join(
        code
        for code in re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
        if code.split()[0] in KNOWN and len(code.split()) > 1
    )

    for tool, *rest in host_commands(f"{consoles}\n{inline}"):
        own = rest[: rest.index("--")] if "--" in rest else rest
        line = " ".join(own)
        names = [n for n in KNOWN[tool] if f"{line} ".startswith(f"{n} ")]
        assert names, f"{tool} {line}"
        options = {word.split("=")[0] for word in own if word[:2] == "--"}
        known = set(KNOWN[tool][max(names, key=len)].split())
        assert options <= known, f"{tool} {line}"


@pages
def test_each_command_of_manage_py_exists_and_takes_its_arguments(
    page: Path,
) -> None:
    lines = manage_lines(page.read_text("utf-8"))

    assert lines
    for line in lines:
        check_manage(line)


@pages
def test_whatever_needs_no_account_is_known_here(page: Path) -> None:
    make = (PROJECT / "Makefile").read_text("utf-8")

    for command in commands_of(page):
        words = [w for w in command.words if not re.match(r"[A-Z_]+=", w)]
        if command.account:
            assert words[0] in {*KNOWN, *PLAIN, "python", "shop-manage"}
        elif words[0] == "make":
            assert f"\n{words[1]}: " in make
        elif words[0] == "python":
            assert (PROJECT / words[1]).is_file()
        else:
            assert words[0] == "git"
            assert words[1] in {"add", "commit"}


@pages
def test_each_file_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    named = set(
        re.findall(
            r"(?<![\w/])((?:deploy|docs|scripts|config)/[\w./*-]*\w|Procfile"
            r"|gunicorn\.conf\.py|Dockerfile|pyproject\.toml)",
            text,
        )
    )

    missing = {name for name in named if not list(PROJECT.glob(name))}

    assert missing == set()


@pages
def test_each_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)

    for link in links:
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.is_file(), link
        titles = re.findall(
            r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE
        )
        slugs = {title.lower().replace(" ", "-") for title in titles}
        assert not anchor or anchor in slugs, link


@pages
def test_each_variable_a_page_names_is_declared(page: Path) -> None:
    named = set(
        re.findall(
            r"\b(?:DJANGO|QSTASH|PAYMENTS|SENTRY|ORDERS|WEB)_[A-Z_]*[A-Z]\b",
            page.read_text("utf-8"),
        )
    )

    assert named - set(VARIABLES) - {"QSTASH_", OF_DJANGO} == set()


def test_the_index_names_each_page() -> None:
    table = re.findall(r"\]\((deployment/\w+\.md)\)", INDEX.read_text("utf-8"))

    there = {str(page.relative_to(DOCS)) for page in HOSTS}

    assert set(table) == there | {"deployment/compose.md"}


@host_pages
def test_each_page_answers_the_same_questions(page: Path) -> None:
    text = page.read_text("utf-8")

    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    running = text.partition("## Running it")[2].partition("\n## ")[0]
    answers = re.findall(r"^- \*\*([A-Z][\w ]+)\*\*", running, re.MULTILINE)

    assert {
        "From nothing to a running site", "Running it", "Database", "Region",
        "What it costs",
    } <= set(titles)  # fmt: skip
    assert {
        "Sweeper and cleanup", "Logs", "Rollback", "Scaling", "Health",
        "Stopping",
    } <= set(answers)  # fmt: skip
    assert {"Release", "Release step"} & set(answers)
    for step in (
        "load_products", "createsuperuser", "settle_payments",
        "hookflow_schedule",
    ):  # fmt: skip
        assert step in text
    assert "[deployment.md](../deployment.md)" in text
    assert "Every command on this page needs" in text


@host_pages
def test_what_is_written_on_the_laptop_is_brought_to_the_host(
    page: Path,
) -> None:
    """Its path is var/production.env: no command creates another."""
    brought = [one.text for one in commands_of(page) if ENV in one.text]
    first = brought[0] if brought else f"var/{ENV}"

    assert f"var/{ENV}" in first


@host_pages
def test_each_price_has_its_date(page: Path) -> None:
    costs = page.read_text("utf-8").partition("## What it costs")[2]

    assert "August 2026" in costs


def test_heroku_is_told_a_python_that_the_project_and_its_image_take() -> None:
    page = (DOCS / "deployment/heroku.md").read_text("utf-8")
    dockerfile = (PROJECT / "Dockerfile").read_text("utf-8")
    project = (PROJECT / "pyproject.toml").read_text("utf-8")

    told = re.search(r"echo ([\d.]+) > \.python-version", page)
    image = re.search(
        r"^ARG PYTHON_VERSION=([\d.]+)$", dockerfile, re.MULTILINE
    )
    least = re.search(r'requires-python = ">=([\d.]+)"', project)

    assert told is not None
    assert image is not None
    assert least is not None
    assert told[1] == image[1]
    assert int(told[1].split(".")[1]) >= int(least[1].split(".")[1])
    others = ("requirements.txt", "Pipfile.lock", "poetry.lock")
    assert not any((PROJECT / name).exists() for name in others)


def test_the_connections_a_process_holds_are_counted_right() -> None:
    gunicorn = runpy.run_path(str(PROJECT / "gunicorn.conf.py"))
    given = cloud_run().given
    # One for each thread, and in each worker one for leases, one for /readyz.
    usual = gunicorn["workers"] * (gunicorn["threads"] + 2)
    alone = int(given["WEB_CONCURRENCY"]) * (int(given["WEB_THREADS"]) + 2)

    for page in HOSTS:
        said = re.findall(
            r"holds up to (\d+) connections", page.read_text("utf-8")
        )
        count = alone if page.stem == "serverless" else usual
        assert set(said) <= {str(count)}, page.name


def test_the_order_of_the_last_step_is_taken(client: Client, db: None) -> None:
    [line] = [c for c in commands_of(INDEX) if c.text.startswith("curl ")]
    [_, _, body, url] = line.words
    call_command("load_products", verbosity=0)

    answer = client.post(
        url.removeprefix("https://shop.example.com"),
        json.loads(body),
        content_type="application/json",
    )

    assert answer.status_code == 201, answer.content
    assert "page" in answer.json()
