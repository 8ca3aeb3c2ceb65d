"""Settings of the processes that the tests of the commands start."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import gettempdir

os.environ.setdefault("DJANGO_SECRET_KEY", "only-for-tests")

from config.environment import database
from qstash_server.accounts import PUBLIC_USERS

SECRET_KEY = "only-for-tests"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "qstash_server",
    "django.contrib.staticfiles",
]
STATIC_URL = "static/"
ROOT_URLCONF = "qstash_server.tests.urls"
MIDDLEWARE: list[str] = []

# Threads need a database that they can share: a file, not :memory:.
DATABASES = {"default": database("sqlite://:memory:")}
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    FILE = Path(gettempdir()) / f"qstash-tests-{os.getpid()}.sqlite3"
    DATABASES["default"] |= {"TEST": {"NAME": str(FILE)}}

# The tests of the commands start processes with other values.
QSTASH_URL = os.environ.get("QSTASH_URL", "http://127.0.0.1:1")
QSTASH_TOKEN = "token-of-the-tests"
if os.environ.get("QSTASH_TOKEN_OF_TESTS") == "public":
    QSTASH_TOKEN = PUBLIC_USERS[0].token
ALLOWED_HOSTS = ["127.0.0.1"]
QSTASH_CURRENT_SIGNING_KEY = "sig_current_key_0123456789abcdef"
QSTASH_NEXT_SIGNING_KEY = "sig_next_key_0123456789abcdefghi"
DJANGO_HOOKFLOW_DOMAIN = "http://testserver"
