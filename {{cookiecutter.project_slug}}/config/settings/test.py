"""Settings of the tests: nothing from the environment but DATABASE_URL."""

from __future__ import annotations

import atexit
import os
import shutil
from tempfile import mkdtemp

from config.variables import DECLARED

# Neither the owner's .env nor the owner's shell decides what a test finds.
for _one in DECLARED:
    if not _one.reader and _one.name != "DATABASE_URL":
        os.environ.pop(_one.name, None)
os.environ["DJANGO_ENV_FILE"] = os.devnull

from config.environment import database  # noqa: E402
from config.environment import seal  # noqa: E402

from .base import *  # noqa: E402

del os.environ["DJANGO_ENV_FILE"]  # what a test starts finds its own file

SECRET_KEY = "only-for-Tests-7Kq2-" * 3
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
# SQLite in a file: of one in memory, threads lock each other's tables.
SCRATCH = mkdtemp(prefix="hookflow-tests-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
DATABASES = {"default": database(f"sqlite:///{SCRATCH}/db.sqlite3")}
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["TEST"] = {"NAME": f"{SCRATCH}/test.sqlite3"}
# Nothing is collected for a test.
MIDDLEWARE.remove("whitenoise.middleware.WhiteNoiseMiddleware")
THROTTLES = {}
DJANGO_TRUSTED_PROXIES = 1
READY_PATIENCE = 60.0  # a busy machine is not a broken one
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

LOGGING["handlers"]["console"]["formatter"] = "line"
DJANGO_TRUST_REQUEST_ID = False
DJANGO_METRICS_TOKEN = ""
SENTRY_DSN = ""
SENTRY_SEND_PII = False
DJANGO_HOOKFLOW_TRACERS = []

QSTASH_URL = "http://127.0.0.1:1"  # nothing listens there
QSTASH_TOKEN = "token-of-the-Tests-7Kq2"
QSTASH_CURRENT_SIGNING_KEY = "sig_current_7Kq2signing_key_of_the_tests"
QSTASH_NEXT_SIGNING_KEY = "sig_next_4Zx9signing_key_of_the_tests"
DJANGO_HOOKFLOW_DOMAIN = "http://testserver"
DJANGO_HOOKFLOW_TRANSPORT = "django_hookflow.transports.memory.MemoryTransport"

# sample: begin
PAYMENTS_URL = "http://testserver/sandbox"
PAYMENTS_API_KEY = "key-of-the-Tests-4Zx9-7Kq2"
PAYMENTS_WEBHOOK_SECRET = "webhook-of-the-Tests-7Kq2"
# sample: end

seal()
