"""The documents are true: what they show is run, what they list is there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import Bake
from documents import PAGES
from documents import Block
from documents import Command
from documents import blocks_of
from documents import commands_of
from ports import free_ports

PATIENCE = 120.0
POLL = 0.2

# What a reader types, and a test does in another way or cannot do.
TYPED = frozenset({"uvx", "cd", "make", "source"})

# Makes `make` use the environment that runs this test, as it is.
INSTALLED = f"VENV='{sys.prefix}' -o '{sys.prefix}/.synced-dev'"

# The clicks of a reader in the admin.
CLICK_REPLAY = """
from django.contrib.auth.models import User
from django.test import Client
from django_hookflow.dlq import DeadLetterEntry

client = Client(headers={"host": "127.0.0.1"})
client.force_login(User.objects.create_superuser("reader"))
answer = client.post(
    "/admin/django_hookflow/deadletterentry/",
    {
        "action": "replay_entries",
        "_selected_action": [DeadLetterEntry.objects.get().pk],
    },
    follow=True,
)
print("Replayed as" in answer.content.decode())
"""

SLOW_ORDER = (
    '{"email": "ada@example.com", "card_number": "4000 0000 0000 0259",'
    ' "lines": [{"sku": "MUG-01", "quantity": 1}]}'
)


@dataclass
class Reader:
    """A person who follows the tutorial, in a project of their own."""

    project: Path
    site: str
    variables: dict[str, str]
    server: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.project.parent / "server.log"

    def types(self, command: str) -> str:
        """Return the output of a command, at the address of this site."""
        done = subprocess.run(
            [
                "bash",
                "-c",
                command.replace("http://127.0.0.1:8000", self.site),
            ],
            cwd=self.project,
            env=self.variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def follows(self, command: Command) -> None:
        """Type a command and see what is shown, at once or a little later."""
        until = time.monotonic() + PATIENCE
        screen = self.types(command.text)
        while command.is_a_look and not command.prints(screen):
            assert time.monotonic() < until, self.story(command, screen)
            time.sleep(POLL)
            screen = self.types(command.text)
        assert command.prints(screen), self.story(command, screen)

    def story(self, command: Command, screen: str) -> str:
        return f"{command.text}\n{screen}\n{self.log.read_text()[-8000:]}"

    def make_dev(self) -> None:
        """Start the site as `make dev` does when everything is installed."""
        self.types("python scripts/setup_env.py")
        self.types("python manage.py migrate --verbosity 0")
        self.types("python manage.py load_products")
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, "scripts/dev.py"],
                cwd=self.project,
                env=self.variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.waits_until(self.answers)

    def edits(self, block: Block) -> None:
        """Change a file, and see the site restart if it serves it."""
        before = self.starts()
        block.write(self.project)
        if self.server is not None and block.is_change_of_code:
            self.waits_until(lambda: self.starts() > before)
            self.waits_until(self.answers)

    def starts(self) -> int:
        """Return how often the site has started so far."""
        if not self.log.exists():
            return 0
        return self.log.read_text("utf-8").count("Watching for file")

    def answers(self) -> bool:
        try:
            return bool(urlopen(self.site).status == 200)
        except OSError:
            return False

    def waits_until(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, self.log.read_text()[-8000:]
            time.sleep(POLL)

    def kills(self) -> None:
        """Kill every process of the server, as a key of the terminal does."""
        if self.server is not None:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
            self.server = None


@pytest.fixture
def reader(bake: Bake) -> Iterator[Reader]:
    port, qstash = free_ports(2)
    site = f"http://127.0.0.1:{port}"
    made = Reader(
        project=bake(),
        site=site,
        variables={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            # The plugin of the extra "Temporal" is installed in any case.
            "PYTEST_ADDOPTS": "-p no:cacheprovider "
            "-o asyncio_default_fixture_loop_scope=function",
            "PORT": str(port),
            "QSTASH_URL": f"http://127.0.0.1:{qstash}",
            "DJANGO_HOOKFLOW_DOMAIN": site,
            "PAYMENTS_URL": f"{site}/sandbox",
        },
    )
    yield made
    made.kills()


@pytest.mark.slow
def test_the_tutorial_does_what_it_shows(reader: Reader) -> None:
    for block in blocks_of("tutorial.md"):
        if block.language == "shell":
            types_in_the_first_terminal(reader, block)
        elif block.language == "console":
            for command in commands_of(block):
                reader.follows(command)
        elif block.file:
            reader.edits(block)


def types_in_the_first_terminal(reader: Reader, block: Block) -> None:
    """Run the shell's commands, with make replaced by methods of Reader."""
    for line in block.text.splitlines():
        assert line.split()[0] in TYPED, line
        if line.startswith("source"):
            reader.kills()  # it has been stopped one sentence earlier
        if line == "make dev":
            reader.kills()
            reader.make_dev()
        if line in {"make format", "make check"}:
            reader.types(f"{line} {INSTALLED}")
        if line == "make superuser":
            clicked = reader.types(
                f"python manage.py shell -v 0 -c '{CLICK_REPLAY}'"
            )
            assert clicked == "True\n"


@pytest.mark.slow
def test_a_slow_order_survives_the_kill_of_the_tutorial(
    reader: Reader,
) -> None:
    reader.make_dev()
    order = re.search(r'"url":"([^"]+)"', reader.types(
        "curl -s http://127.0.0.1:8000/api/orders/ "
        f"-H 'Content-Type: application/json' -d '{SLOW_ORDER}'"
    ))  # fmt: skip
    assert order is not None
    look = f"curl -s {order[1]}"
    reader.waits_until(lambda: '"step_id":"payment"' in reader.types(look))

    reader.kills()
    reader.make_dev()

    reader.waits_until(lambda: '"status":"fulfilled"' in reader.types(look))


@pytest.mark.parametrize(
    "document", PAGES.values(), ids=lambda path: path.name
)
def test_every_link_of_the_documents_leads_somewhere(document: Path) -> None:
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", document.read_text("utf-8")
    ):
        file = (document.parent / target) if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), anchor


def anchors(document: Path) -> set[str]:
    """Return the names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }
