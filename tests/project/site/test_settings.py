"""The settings, as processes of their own import them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from config.declaration import GROUPS
from config.declaration import KINDS
from config.environment import BASE_DIR as PROJECT
from config.variables import DECLARED
from config.variables import needed_in

LAPTOP = {
    "DJANGO_SECRET_KEY": "k",
    "QSTASH_TOKEN": "t",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_c",
    "QSTASH_NEXT_SIGNING_KEY": "sig_n",
    "DJANGO_HOOKFLOW_DOMAIN": "http://127.0.0.1:8000",
    "PAYMENTS_URL": "http://127.0.0.1:8000/sandbox",
    "PAYMENTS_API_KEY": "a",
    "PAYMENTS_WEBHOOK_SECRET": "w",
}
SAMPLED = "SENTRY_TRACES_SAMPLE_RATE"
DEPLOYED = LAPTOP | {
    "DJANGO_SECRET_KEY": "k3Q-a_text_that_nobody_guesses-9fX2vB7mT",
    "QSTASH_TOKEN": "eyJVc2VySUQiOiI0MiIsIlBhc3N3b3JkIjoiOVgyIn0=",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_4Kq7Zp2mXv9RtB3nWc8LsDf6HgYj",
    "QSTASH_NEXT_SIGNING_KEY": "sig_8Tn3Vb6xQz1LkJ5hGf9DsAp2MwRe",
    "DJANGO_HOOKFLOW_DOMAIN": "https://shop.example.com",
    "PAYMENTS_URL": "https://shop.example.com/sandbox",
    "PAYMENTS_API_KEY": "sk_live_7Qm2Xn4Vb8Zc1Lk6",
    "PAYMENTS_WEBHOOK_SECRET": "whsec_5Rt9Yp3Wd7Hs2Jf8",
    "DATABASE_URL": "postgres://u:p@db.example:6000/shop",
    "DJANGO_ALLOWED_HOSTS": "shop.example.com",
    "DJANGO_EMAIL_URL": "submission://u:p%40@mail.example.com",
}


def test_a_deployed_site_that_takes_test_cards_is_warned_of() -> None:
    run = manage("production", "check", DEPLOYED, "--deploy")

    assert run.returncode == 0, run.stderr
    assert (
        "(payments_sandbox.W001) PAYMENTS_URL is "
        "https://shop.example.com/sandbox, the sandbox of this site"
    ) in run.stderr


def test_deployed_settings_pass_every_check_without_a_warning() -> None:
    run = python("scripts/check_deploy.py")

    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


def test_all_missing_variables_are_named_in_one_error() -> None:
    run = manage("production", "check", LAPTOP | {"QSTASH_TOKEN": ""})

    assert run.returncode == 1
    assert run.stderr == (
        "These environment variables are missing or wrong:\n"
        "  DATABASE_URL is not configured.\n"
        "  DJANGO_ALLOWED_HOSTS is not configured.\n"
        "  DJANGO_EMAIL_URL is not configured.\n"
        "  QSTASH_TOKEN is not configured.\n"
        '.env.example explains each. On a laptop run "make dev", which '
        "writes .env; elsewhere set them where the site is started.\n"
    )


def test_a_file_that_lacks_one_variable_is_told_of_that_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "production.env"
    kept = {k: v for k, v in DEPLOYED.items() if k != "QSTASH_TOKEN"}
    file.write_text("".join(f"{k}={v}\n" for k, v in kept.items()))

    run = manage("production", "check", {"DJANGO_ENV_FILE": str(file)})

    assert run.returncode == 1
    assert "are missing or wrong:\n  QSTASH_TOKEN is not" in run.stderr
    assert run.stderr.count("is not configured.") == 1


def test_values_that_make_no_sense_are_all_named_in_one_error() -> None:
    wrong = {
        "DJANGO_HOOKFLOW_LEASE": "0",
        "DJANGO_LOG_LEVEL": "LOUD",
        "DJANGO_THROTTLE_LOGIN": "often",
    }

    run = manage("local", "check", LAPTOP | wrong)

    assert run.returncode == 1
    assert (
        "  DJANGO_HOOKFLOW_LEASE: Less than 1.\n"
        "  DJANGO_LOG_LEVEL: Not one of DEBUG, INFO, WARNING, ERROR.\n"
        "  DJANGO_THROTTLE_LOGIN: Neither like 20/minute nor off.\n"
    ) in run.stderr


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("DATABASE_URL", "Not a valid database URL."),
        ("DJANGO_EMAIL_URL", "Not a valid mail URL; it begins with"),
        ("DJANGO_DEBUG", "Not a valid boolean."),
        ("SENTRY_TRACES_SAMPLE_RATE", "Not a valid number."),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    name: str, complaint: str
) -> None:
    run = manage("local", "check", LAPTOP | {name: "nonsense"})

    assert run.returncode == 1
    assert f"  {name}: {complaint}" in run.stderr


@pytest.mark.parametrize(
    ("value", "complaint"), [("1.5", "More than 1."), ("-1", "Less than 0.")]
)
def test_a_part_is_neither_less_than_nothing_nor_more_than_all(
    value: str, complaint: str
) -> None:
    """With a rate above 1 Sentry's client silently sends nothing."""
    run = manage("local", "check", LAPTOP | {SAMPLED: value})

    assert run.returncode == 1
    assert f"  {SAMPLED}: {complaint}\n" in run.stderr


def test_the_mail_url_chooses_the_server() -> None:
    asked = (
        "from django.core import mail\n"
        "mailers = getattr(mail, 'mailers', None)\n"
        "c = mailers['default'] if mailers else mail.get_connection()\n"
        "print(c.host, c.port, c.username, c.password, c.use_tls)"
    )

    run = manage("production", "shell", DEPLOYED, "--no-imports", "-c", asked)

    assert run.stdout == "mail.example.com 587 u p@ True\n", run.stderr


def test_without_a_mail_url_mail_is_printed() -> None:
    asked = (
        "from django.core.mail import send_mail\n"
        "send_mail('Subject', 'Body', None, ['ada@example.com'])"
    )

    run = manage("local", "shell", LAPTOP, "--no-imports", "-c", asked)

    assert "\nTo: ada@example.com\n" in run.stdout, run.stderr


def test_sqlite_takes_its_write_lock_first_and_lets_readers_go_on(
    tmp_path: Path,
) -> None:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    asked = (
        "from django.db import connection as c\n"
        "print(c.settings_dict['OPTIONS']['transaction_mode'],"
        "c.cursor().execute('PRAGMA journal_mode').fetchone(),"
        "c.cursor().execute('PRAGMA synchronous').fetchone())"
    )

    run = manage(
        "local", "shell", LAPTOP | database, "--no-imports", "-c", asked
    )

    assert run.stdout == "IMMEDIATE ('wal',) (1,)\n"


def test_the_database_url_chooses_postgresql() -> None:
    asked = (
        "from django.db import connection as c\n"
        "print(c.vendor, c.settings_dict['HOST'], c.settings_dict['PORT'])"
    )

    run = manage("local", "shell", DEPLOYED, "--no-imports", "-c", asked)

    assert run.stdout == "postgresql db.example 6000\n"


def test_an_empty_variable_counts_as_not_set() -> None:
    asked = (
        "from django.conf import settings as s\n"
        "print(s.DEBUG, s.DJANGO_HOOKFLOW_LEASE, s.ALLOWED_HOSTS,"
        "s.DATABASES['default']['ENGINE'])"
    )
    empty = {"DJANGO_DEBUG": "", "DJANGO_HOOKFLOW_LEASE": ""} | {
        "DATABASE_URL": "",
        "DJANGO_EMAIL_URL": "",
    }

    run = manage("local", "shell", LAPTOP | empty, "--no-imports", "-c", asked)

    hosts = [".localhost", "127.0.0.1", "[::1]"]
    assert run.stdout == f"True 5 {hosts} django.db.backends.sqlite3\n", (
        run.stderr
    )


def test_a_relative_sqlite_file_is_beside_manage_py_for_cron_too(
    tmp_path: Path,
) -> None:
    asked = (
        "from django.conf import settings as s\n"
        "print(s.DATABASES['default']['NAME'])"
    )
    variables = LAPTOP | {"DATABASE_URL": "sqlite:///shop.sqlite3"}
    manage_py = str(PROJECT / "manage.py")

    run = python(
        manage_py, "shell", "--no-imports", "-c", asked,
        variables=variables, directory=tmp_path,
    )  # fmt: skip

    assert run.stdout == f"{PROJECT / 'shop.sqlite3'}\n", run.stderr


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("shop.localhost", 200),
        ("[::1]:8000", 200),
        ("mine.ngrok-free.app", 200),
        ("laptop.lan", 200),
        ("attacker.example", 400),
        ("127.0.0.1.attacker.example", 400),
    ],
)
def test_a_laptop_answers_under_its_own_names_alone(
    host: str, status: int
) -> None:
    asked = (
        "import django; django.setup(); from django.test import Client; "
        "print(Client().get('/sandbox/', headers={'Host': "
        f"{host!r}}}).status_code)"
    )
    variables = LAPTOP | {
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "DJANGO_HOOKFLOW_DOMAIN": "https://mine.ngrok-free.app",
        "DJANGO_ALLOWED_HOSTS": "laptop.lan",
    }

    run = python("-c", asked, variables=variables)

    assert run.stdout == f"{status}\n", run.stderr


BEHIND_A_PROXY = """
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
import django, httpx
django.setup()

class Here(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_): ...

server = HTTPServer(("127.0.0.1", 0), Here)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(httpx.get(f"http://127.0.0.1:{server.server_port}/").status_code)
try:
    httpx.get("http://shop.example.com/")
except httpx.ConnectError:
    print("asked the proxy")
"""


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("kept", ["", "intranet.example"])
def test_a_proxy_of_the_office_is_not_asked_for_this_machine(
    name: str, kept: str
) -> None:
    variables = LAPTOP | {
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        name: "http://127.0.0.1:9",
        "NO_PROXY": kept,
    }

    run = python("-c", BEHIND_A_PROXY, variables=variables)

    assert run.stdout == "204\nasked the proxy\n", run.stderr


STARTED = "import config.wsgi; print('started')"
IN_PRODUCTION = {"DJANGO_SETTINGS_MODULE": "config.settings.production"}


def test_a_site_with_all_it_needs_starts() -> None:
    run = python("-c", STARTED, variables=DEPLOYED | IN_PRODUCTION)

    assert run.stdout == "started\n", run.stderr


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        (
            "QSTASH_CURRENT_SIGNING_KEY",
            "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
            "(django_hookflow.E004) QSTASH_CURRENT_SIGNING_KEY is a "
            "development key",
        ),
        (
            "QSTASH_NEXT_SIGNING_KEY",
            "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
            "(django_hookflow.E004) QSTASH_NEXT_SIGNING_KEY is a development "
            "key",
        ),
        (
            "QSTASH_TOKEN",
            "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
            "(core.E002) QSTASH_TOKEN is a development token",
        ),
        (
            "DATABASE_URL",
            "sqlite://:memory:",
            "(core.E001) DATABASE_URL is an SQLite database",
        ),
        *(
            (
                "DJANGO_SECRET_KEY",
                key,
                "(core.E003) DJANGO_SECRET_KEY can be guessed",
            )
            for key in (
                "changeme",
                "only-for-tests",
                "x" * 50,
                "django-insecure-4y!0)k1v_0w9e8r7t6y5u4i3o2p1a",
            )
        ),
        *(
            (name, value, complaint)
            for value in ("changeme", "your-next-signing-key")
            for name, complaint in (
                (
                    "QSTASH_NEXT_SIGNING_KEY",
                    "(django_hookflow.E012) QSTASH_NEXT_SIGNING_KEY can be",
                ),
                ("QSTASH_TOKEN", "(core.E005) QSTASH_TOKEN can be guessed"),
            )
        ),
        *(
            (name, url, f"(core.E004) {name} is {url}, an address")
            for name, url in (
                ("DJANGO_HOOKFLOW_DOMAIN", "http://127.0.0.1:8000"),
                ("DJANGO_HOOKFLOW_DOMAIN", "http://localhost:8000"),
                ("QSTASH_URL", "http://0.0.0.0:8080"),
                ("QSTASH_URL", "http://[::1]:8080"),
            )
        ),
    ],
)
def test_a_site_that_is_not_safe_does_not_start(
    name: str, value: str, complaint: str
) -> None:
    unsafe = DEPLOYED | IN_PRODUCTION | {name: value}

    run = python("-c", STARTED, variables=unsafe)

    assert run.returncode == 1
    assert run.stdout == ""
    assert complaint in run.stderr


def test_a_site_that_is_all_on_one_machine_can_be_allowed() -> None:
    alone = {
        "DJANGO_HOOKFLOW_DOMAIN": "http://127.0.0.1:8000",
        "QSTASH_URL": "http://127.0.0.1:8080",
        "DJANGO_ALLOW_LOOPBACK": "True",
    }

    run = manage("production", "check", DEPLOYED | alone)

    assert run.returncode == 0, run.stderr


def test_the_tests_find_the_same_settings_on_every_machine(
    tmp_path: Path,
) -> None:
    file = tmp_path / "owner.env"
    file.write_text(
        "DJANGO_ADMIN_PATH=hidden/\nDJANGO_HOOKFLOW_MAX_BODY=5000\n"
    )
    owner = {"DJANGO_ENV_FILE": str(file), "DJANGO_LOG_LEVEL": "ERROR"}
    asked = (
        "from django.conf import settings as s\n"
        "print(s.ADMIN_PATH, s.DJANGO_HOOKFLOW_MAX_BODY,"
        "s.LOGGING['root']['level'])"
    )

    run = manage("test", "shell", owner, "--no-imports", "-c", asked)

    assert run.stdout == "admin/ 11000000 INFO\n", run.stderr


def test_runserver_logs_no_static_file_or_probe_that_went_well() -> None:
    told = (
        "from django.core.servers.basehttp import WSGIRequestHandler\n"
        "handler = object.__new__(WSGIRequestHandler)\n"
        "handler.request = None\n"
        "def tell(asked, status):\n"
        "    handler.log_message('\"%s\" %s %s', asked, status, '5')\n"
        "tell('GET /static/a.css HTTP/1.1', '200')\n"
        "tell('GET /static/a.css HTTP/1.1', '304')\n"
        "tell('GET /livez HTTP/1.1', '200')\n"
        "tell('GET /readyz?all HTTP/1.1', '200')\n"
        "tell('GET /static/b.css HTTP/1.1', '404')\n"
        "tell('GET /readyz HTTP/1.1', '503')\n"
        "tell('GET /?next=/static/ HTTP/1.1', '200')\n"
        "handler.log_error('code %d, message %s', 400, 'Bad request')\n"
    )

    run = manage("local", "shell", LAPTOP, "-v", "0", "-c", told)

    assert [line.split(" ", 2)[2] for line in run.stderr.splitlines()] == [
        'WARNING django.server: "GET /static/b.css HTTP/1.1" 404 5',
        'ERROR django.server: "GET /readyz HTTP/1.1" 503 5',
        'INFO django.server: "GET /?next=/static/ HTTP/1.1" 200 5',
        "INFO django.server: code 400, message Bad request",
    ]


def test_sqlite_in_production_can_be_allowed() -> None:
    allowed = {
        "DATABASE_URL": "sqlite://:memory:",
        "DJANGO_ALLOW_SQLITE": "True",
    }

    run = manage("production", "check", DEPLOYED | allowed)

    assert run.returncode == 0, run.stderr


def test_a_pool_takes_the_place_of_kept_connections() -> None:
    asked = (
        "from django.db import connection as c\n"
        "print(c.settings_dict['CONN_MAX_AGE'],"
        "c.settings_dict['OPTIONS']['pool'], c.pool.max_size)"
    )
    pooled = DEPLOYED | {"DJANGO_DB_POOL": "10"}

    run = manage("production", "shell", pooled, "--no-imports", "-c", asked)

    assert run.stdout == (
        "0 {'min_size': 2, 'max_size': 10, 'timeout': 10} 10\n"
    ), run.stderr


@pytest.mark.parametrize("path", ["backstage", "/backstage/"])
def test_the_admin_is_where_the_variable_says(path: str) -> None:
    asked = "from django.urls import reverse; print(reverse('admin:index'))"
    moved = DEPLOYED | {"DJANGO_ADMIN_PATH": path}

    run = manage("production", "shell", moved, "--no-imports", "-c", asked)

    assert run.stdout == "/backstage/\n", run.stderr


@pytest.mark.parametrize("module", ["local", "production"])
def test_the_settings_read_what_is_declared_for_them(module: str) -> None:
    declared = {
        one.name
        for one in DECLARED
        if module in one.read_in and not one.reader
    }

    asked = "from config.environment import env; print(*env.dump())"
    run = manage(module, "shell", DEPLOYED, "--no-imports", "-c", asked)

    assert set(run.stdout.split()) == declared, run.stderr


def test_what_the_settings_do_not_read_is_read_where_it_is_said() -> None:
    unread = [
        one.name
        for one in DECLARED
        if one.reader and one.name not in read(one.reader)
    ]

    assert unread == []


def test_each_variable_is_declared_once_and_explained() -> None:
    names = [one.name for one in DECLARED]

    assert len(set(names)) == len(names)
    assert {one.group for one in DECLARED} == set(GROUPS)
    assert {one.kind for one in DECLARED} == set(KINDS)
    assert all(one.help.endswith(".") for one in DECLARED)
    assert all(set(one.needed) <= set(one.read_in) for one in DECLARED)


def test_the_example_and_the_document_are_what_is_declared() -> None:
    run = python("scripts/write_configuration.py", "--check")

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_a_fresh_file_gets_exactly_the_secrets_it_lacks() -> None:
    run = python(
        "-c",
        "import sys; sys.path.insert(0, 'scripts')\n"
        "from setup_env import fresh_secrets\n"
        "print(*fresh_secrets())",
    )

    empty = {one.name for one in DECLARED if one.fresh == ""}
    assert set(run.stdout.split()) == empty, run.stderr


def test_a_fresh_file_is_all_that_a_laptop_needs() -> None:
    given = {one.name for one in DECLARED if one.fresh is not None}

    assert set(needed_in("local")) <= given


def read(path: str) -> str:
    return (PROJECT / path).read_text(encoding="utf-8")


def manage(
    settings: str, command: str, variables: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    module = f"config.settings.{settings}"
    return python(
        "manage.py",
        command,
        "--settings",
        module,
        *arguments,
        variables=variables,
    )


def python(
    *arguments: str,
    variables: dict[str, str] | None = None,
    directory: Path = PROJECT,
) -> subprocess.CompletedProcess[str]:
    """Run a script of the project with these variables and no others."""
    kept = {
        "DJANGO_ENV_FILE": os.devnull,
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=kept | (variables or {}),
        capture_output=True,
        text=True,
    )
