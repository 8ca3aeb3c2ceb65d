"""django-hookflow 0.0.4, the public release, in this process.

Two things are needed to make it run at all: its publish calls go to a fixed
address of Upstash, so they are answered here; and it compares a hash that
QStash never sends (hexadecimal, QStash's is base64url), so its messages are
signed here the way it wants them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections import deque
from typing import Any

import django
import jwt
from django.conf import settings

from benchmarks.contenders.wire import serve
from benchmarks.contenders.wire import start_worker
from benchmarks.contenders.wire import throughput
from benchmarks.contenders.wire import work

MODULE = "benchmarks.contenders.with_hookflow004"
KEY = "sig_current_signing_key_of_the_benchmarks"


def configure() -> None:
    import os
    from urllib.parse import parse_qs
    from urllib.parse import urlsplit

    parts = urlsplit(os.environ["BENCH_DATABASE"])
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path.strip("/"),
                "USER": parts.username,
                "HOST": parse_qs(parts.query)["host"][0],
            }
        },
        INSTALLED_APPS=["django_hookflow"],
        ROOT_URLCONF="django_hookflow.urls",
        ALLOWED_HOSTS=["testserver"],
        LOGGING_CONFIG=None,
        USE_TZ=True,
        QSTASH_TOKEN="token",
        QSTASH_CURRENT_SIGNING_KEY=KEY,
        QSTASH_NEXT_SIGNING_KEY=KEY,
        DJANGO_HOOKFLOW_DOMAIN="http://testserver",
        DJANGO_HOOKFLOW_PERSISTENCE_ENABLED=True,
    )
    django.setup()


configure()

from django.core.management import call_command  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from django_hookflow import workflow  # noqa: E402
from django_hookflow.qstash import client as qstash_client  # noqa: E402
from django_hookflow.workflows.views import workflow_webhook  # noqa: E402

ADDRESS = qstash_client.QSTASH_API_URL
requests = RequestFactory()
published: deque[tuple[str, str]] = deque()  # address, body
sent = {"messages": 0, "bytes": 0}


class Accepted:
    """The response of Upstash to a publish call."""

    def raise_for_status(self) -> None:
        pass

    def json(self) -> dict[str, str]:
        return {"messageId": "msg_bench"}


class StandIn:
    """Takes the place of the module `requests` in its client."""

    RequestException = OSError

    @staticmethod
    def post(url: str, data: str, **_: Any) -> Accepted:
        sent["messages"] += 1
        sent["bytes"] += len(data)
        published.append((url.removeprefix(ADDRESS), data))
        return Accepted()


qstash_client.requests = StandIn


@workflow(workflow_id="run")
def run(ctx: Any) -> Any:
    count = ctx.data["steps"]
    for number in range(count):
        ctx.step.run(f"step-{number}", work, number, count)
    return {"steps": count}


def deliver_all() -> None:
    while published:
        url, body = published.popleft()
        deliver(url, body)


def deliver(url: str, body: str) -> None:
    now = int(time.time())
    claims = {
        "iss": "Upstash",
        "sub": url,
        "exp": now + 300,
        "nbf": now - 1,
        "body": hashlib.sha256(body.encode()).hexdigest(),
    }
    request = requests.post(
        url.removeprefix("http://testserver"),
        data=body,
        content_type="application/json",
        headers={"Upstash-Signature": jwt.encode(claims, KEY, "HS256")},
    )
    response = workflow_webhook(request, "run")
    if response.status_code != 200:
        raise RuntimeError(response.content.decode())


def steps(steps: int, runs: int) -> float:
    """Return the seconds for runs one after another, each step a delivery."""
    began = time.perf_counter()
    for _ in range(runs):
        run.trigger({"steps": steps})
        deliver_all()
    return time.perf_counter() - began


def many(steps: int, runs: int, workers: int) -> float:
    for _ in range(runs):
        run.trigger({"steps": steps})
    waiting = list(published)
    published.clear()

    def start() -> list[subprocess.Popen[bytes]]:
        started = [start_worker(MODULE) for _ in range(workers)]
        for number, process in enumerate(started):
            assert process.stdin is not None
            share = json.dumps(waiting[number::workers])
            process.stdin.write(share.encode())
            process.stdin.close()
        return started

    return throughput(lambda: None, start, runs)


def worker() -> None:
    published.extend(tuple(message) for message in json.load(sys.stdin))
    deliver_all()


def costs(steps: int) -> dict[str, int]:
    """Messages of one run, and their bytes."""
    before = dict(sent)
    run.trigger({"steps": steps})
    deliver_all()
    return {name: sent[name] - before[name] for name in sent}


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        worker()
    else:
        call_command("migrate", verbosity=0)
        serve({"steps": steps, "many": many, "costs": costs})
