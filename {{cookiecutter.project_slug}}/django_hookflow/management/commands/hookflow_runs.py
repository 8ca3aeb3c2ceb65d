"""`manage.py hookflow_runs`: look at runs, and steer them."""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.base import CommandError
from django.core.management.base import CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import router
from django.db import transaction
from django.db.models import Q
from django.db.models import QuerySet

from django_hookflow.conf import conf
from django_hookflow.exceptions import HookflowError
from django_hookflow.exceptions import RunNotFound
from django_hookflow.management.terminal import overwrite
from django_hookflow.models import WorkflowRun
from django_hookflow.operations.control import cancel_run
from django_hookflow.operations.control import pause_run
from django_hookflow.operations.control import resume_run
from django_hookflow.operations.events import send_event
from django_hookflow.operations.letters import fork_run
from django_hookflow.operations.letters import retry_run
from django_hookflow.operations.moves import move_run
from django_hookflow.states import CANCELLABLE
from django_hookflow.states import PAUSABLE
from django_hookflow.states import TERMINAL
from django_hookflow.states import Request
from django_hookflow.states import RunStatus

LISTED = 20  # runs, unless --limit says otherwise

EXAMPLES = """
examples:
  manage.py hookflow_runs list --status failed --workflow process-order
  manage.py hookflow_runs show order-4711
  manage.py hookflow_runs cancel order-4711 --reason "wrong address"
  manage.py hookflow_runs pause --workflow process-order --dry-run
  manage.py hookflow_runs retry --status failed --limit 100 --yes
  manage.py hookflow_runs fork order-4711 charge
  manage.py hookflow_runs move --status waiting --to shop.transports.Pigeon
  manage.py hookflow_runs send-event paid --run order-4711 --data '{"n": 1}'

It ends with 0 when all was done, 1 when something was not, and says why in a
sentence, and 2 when its options make no sense.
"""


@dataclass(frozen=True)
class Action:
    """Something to be done to many runs."""

    do: Callable[..., str | None]
    done: str  # the word for it, once it is done
    may: Q  # the runs to which it can be done
    help: str


ACTIONS = {
    "cancel": Action(
        cancel_run, "cancelled",
        Q(status__in=CANCELLABLE) & ~Q(requested=Request.CANCEL),
        "stop runs, and undo their steps that have a compensation",
    ),
    "retry": Action(
        retry_run, "retried",
        Q(status=RunStatus.FAILED, dead_letters__is_replayed=False),
        "begin failed runs again behind their completed steps",
    ),
    "pause": Action(
        pause_run, "paused",
        Q(status__in=PAUSABLE, requested=Request.NOTHING),
        "let runs rest until they are resumed",
    ),
    "resume": Action(
        resume_run, "resumed",
        Q(status__in=PAUSABLE | {RunStatus.PAUSED}, requested=Request.PAUSE),
        "let paused runs go on",
    ),
    "move": Action(
        move_run, "moved",
        Q(wake_at__isnull=False) & ~Q(status__in=TERMINAL),
        "send the messages of open runs by the transport of the settings",
    ),
}  # fmt: skip


class Command(BaseCommand):
    help = "Lists and shows runs, and pauses, cancels, retries or forks them."

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        parser = super().create_parser(
            prog_name,
            subcommand,
            epilog=EXAMPLES,
            formatter_class=RawDescriptionHelpFormatter,
            **kwargs,
        )
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(
            dest="action", required=True, title="what to do"
        )
        listing = actions.add_parser("list", help="print runs, newest first")
        _add_filters(listing)
        show = actions.add_parser("show", help="print a run and its steps")
        show.add_argument("run_id")
        for name, action in ACTIONS.items():
            one = actions.add_parser(
                name, help=action.help,
                description=f"To {action.help}: those of the ids, or all "
                "that the options select.",
            )  # fmt: skip
            one.add_argument("run_ids", nargs="*", metavar="run_id")
            _add_filters(one)
            _add_manners(one)
        actions.choices["move"].add_argument(
            "--to", required=True, metavar="TRANSPORT",
            help="the new value of DJANGO_HOOKFLOW_TRANSPORT",
        )  # fmt: skip
        fork = actions.add_parser(
            "fork", help="begin a new run at a step of another"
        )
        fork.add_argument("run_id")
        fork.add_argument("step_id")
        _add_data(fork, "instead of the data of the other run")
        _add_reason(fork)
        event = actions.add_parser("send-event", help="send an event to runs")
        event.add_argument("name")
        to = event.add_mutually_exclusive_group(required=True)
        to.add_argument("--run", metavar="RUN_ID", help="to this run")
        to.add_argument("--match", help="to a run that waits for this match")
        event.add_argument(
            "--event-id", help="the same one again is the same event"
        )
        _add_data(event, "of the event")
        for each in actions.choices.values():
            each.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        others: dict[str, Callable[..., None]] = {
            "list": self.list_runs,
            "show": self.show_run,
            "fork": self.fork,
            "send-event": self.send_event,
        }
        try:
            if (name := options["action"]) in ACTIONS:
                self.steer(name, **options)
            else:
                others[name](**options)
        except (HookflowError, ValueError) as error:
            raise CommandError(str(error)) from error

    def list_runs(self, **options: Any) -> None:
        runs = _selected(WorkflowRun.objects.all(), options)
        limit = LISTED if options["limit"] is None else options["limit"]
        found = list(runs.order_by("-created_at", "-pk")[:limit])
        self.tell([_facts(run) for run in found], map(_line, found))

    def show_run(self, *, run_id: str, **_: Any) -> None:
        run = WorkflowRun.objects.filter(run_id=run_id).first()
        if run is None:
            raise RunNotFound(run_id)
        steps = list(
            run.step_executions.values(
                "step_id", "kind", "status", "result", "error_type",
                "error_message", "wake_at", "event_name", "event_match",
            )
        )  # fmt: skip
        changes = list(
            run.audit_entries.values(
                "created_at", "action", "by", "before", "after", "reason"
            )
        )
        facts = _facts(run) | {
            "data": run.data,
            "result": run.result,
            "children": [child.run_id for child in run.children.all()],
        }
        lines = [f"{name}: {_said(value)}" for name, value in facts.items()]
        lines += [f"step {_spoken(step)}" for step in steps]
        lines += [f"change {_spoken(change)}" for change in changes]
        self.tell(facts | {"steps": steps, "changes": changes}, lines)

    def fork(self, *, run_id: str, step_id: str, **options: Any) -> None:
        data = _data(options)
        if data is not None and not isinstance(data, dict):
            raise CommandError(
                f"Invalid --data {options['data']!r}, expected a JSON object "
                "such as '{\"order_id\": 7}'."
            )
        begun = fork_run(
            run_id, step_id, data, by=options["by"],
            reason=options["reason"],
        )  # fmt: skip
        self.tell(
            {"run_id": run_id, "begun": begun},
            [f"Run {run_id} goes on from {step_id} as {begun}."],
        )

    def send_event(self, *, name: str, **options: Any) -> None:
        is_new = send_event(
            name, _data(options), run_id=options["run"],
            match=options["match"], event_id=options["event_id"],
        )  # fmt: skip
        said = "Sent the event" if is_new else "It was sent before: the event"
        self.tell({"name": name, "is_new": is_new}, [f"{said} {name}."])

    def steer(self, name: str, *, run_ids: list[str], **options: Any) -> None:
        """Do something to runs: by their ids to all or none of them."""
        _refuse_other_transport(options.get("to"))
        chosen = [options[key] for key in ("status", "workflow", "owner")]
        if bool(run_ids) == any(chosen):
            raise CommandError(
                f"Which runs are to be {ACTIONS[name].done}? Give their ids, "
                "or choose them by --status, --workflow or --owner."
            )
        if run_ids:
            self.steer_named(name, run_ids, options)
        else:
            self.steer_many(name, options)

    def steer_named(
        self, name: str, run_ids: list[str], options: dict[str, Any]
    ) -> None:
        database = router.db_for_write(WorkflowRun)
        with transaction.atomic(database):
            done = {one: self.do(name, one, options) for one in run_ids}
            if options["dry_run"]:
                transaction.set_rollback(True, database)
        if options["dry_run"]:
            self.would(name, run_ids)
        else:
            self.report(name, done, {})

    def steer_many(self, name: str, options: dict[str, Any]) -> None:
        runs = _selected(
            WorkflowRun.objects.filter(ACTIONS[name].may), options
        )
        found = runs.order_by("pk").values_list("run_id", flat=True)
        run_ids = list(found[: options["limit"]])
        if options["dry_run"]:
            self.would(name, run_ids)
            return
        if run_ids and not options["yes"]:
            self.ask(name, len(run_ids))
        done: dict[str, str | None] = {}
        failed: dict[str, str] = {}
        for run_id in run_ids:
            try:
                done[run_id] = self.do(name, run_id, options)
            except HookflowError as error:
                failed[run_id] = str(error)
            said = f"{len(done):,} of {len(run_ids):,} runs …"
            overwrite(self.stdout, said)
        overwrite(self.stdout, "")
        self.report(name, done, failed)

    def do(
        self, name: str, run_id: str, options: dict[str, Any]
    ) -> str | None:
        return ACTIONS[name].do(
            run_id, by=options["by"], reason=options["reason"]
        )

    def would(self, name: str, run_ids: list[str]) -> None:
        said = f"Would have {_count(run_ids)} {ACTIONS[name].done}:"
        self.tell(
            {"dry_run": True, "run_ids": run_ids},
            [said, *run_ids, "Nothing was changed. Run again without "
             "--dry-run to do it."],
        )  # fmt: skip

    def ask(self, name: str, count: int) -> None:
        """Ask a person; CommandError unless the answer is yes."""
        if not sys.stdin.isatty():
            raise CommandError(
                f"{count:,} runs are to be {ACTIONS[name].done}. No terminal "
                "is there to ask: look with --dry-run, and add --yes."
            )
        answer = input(f"{count:,} runs are to be {ACTIONS[name].done} [y/N] ")
        if answer.strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was changed.")

    def report(
        self, name: str, done: dict[str, str | None], failed: dict[str, str]
    ) -> None:
        word = ACTIONS[name].done
        lines = [
            f"{run_id}: {word}{f' as {begun}' if begun else ''}"
            for run_id, begun in done.items()
        ]
        lines += [f"{run_id}: {why}" for run_id, why in failed.items()]
        lines.append(f"{word.capitalize()}: {_count(done)}.")
        self.tell({"done": done, "failed": failed}, lines)
        if failed:
            raise CommandError(f"{_count(failed)} could not be {word}.")

    def tell(self, facts: Any, lines: Iterable[str]) -> None:
        """Print facts as JSON, or lines of text."""
        if self.as_json:
            lines = [json.dumps(facts, cls=DjangoJSONEncoder, indent=2)]
        for line in lines:
            self.stdout.write(line)


def _refuse_other_transport(to: str | None) -> None:
    """Raise CommandError unless this is the site's transport, or None.

    Elsewhere the setting may still be the old one: this process has the
    variables of the site, as a rule, so it is a sign.
    """
    ours = conf.DJANGO_HOOKFLOW_TRANSPORT
    if to not in (None, ours):
        raise CommandError(
            f"DJANGO_HOOKFLOW_TRANSPORT is {ours!r}, so runs cannot be moved "
            f"to {to!r}. Change it, restart the site, and try again."
        )


def _add_filters(parser: CommandParser) -> None:
    parser.add_argument(
        "--status", choices=RunStatus.values, help="only runs of this status"
    )
    parser.add_argument(
        "--workflow", metavar="ID", help="only runs of this workflow"
    )
    parser.add_argument("--owner", help="only runs of this owner")
    parser.add_argument(
        "--limit", type=int, metavar="N",
        help=f"so many runs at the most (list: {LISTED})",
    )  # fmt: skip


def _add_manners(parser: CommandParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="print which runs it would be"
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before many runs"
    )
    _add_reason(parser)


def _add_reason(parser: CommandParser) -> None:
    parser.add_argument("--reason", default="", help="why, for the audit")
    parser.add_argument(
        "--by", default="manage.py", help="who, for the audit (manage.py)"
    )


def _add_data(parser: CommandParser, what: str) -> None:
    parser.add_argument("--data", metavar="JSON", help=f"data {what}")


def _data(options: dict[str, Any]) -> Any:
    text = options["data"]
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(
            f"Invalid --data {text!r}, expected JSON such as "
            f"'{{\"order_id\": 7}}': {error}."
        ) from error


def _selected(
    runs: QuerySet[WorkflowRun], options: dict[str, Any]
) -> QuerySet[WorkflowRun]:
    columns = {"status": "status", "workflow": "workflow_id", "owner": "owner"}
    limit = options["limit"]
    if limit is not None and limit < 1:
        raise CommandError(f"Invalid --limit {limit}, expected 1 or more.")
    wanted = {
        column: options[key]
        for key, column in columns.items()
        if options[key] is not None
    }
    return runs.filter(**wanted)


def _facts(run: WorkflowRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "workflow": run.workflow_id,
        "version": run.version,
        "owner": run.owner,
        "status": run.status,
        "requested": run.requested,
        "created_at": run.created_at,
        "completed_at": run.completed_at,
        "due": run.wake_at,
        "error": _error(run),
    }


def _error(run: WorkflowRun) -> str:
    return f"{run.error_type}: {run.error_message}" if run.error_type else ""


def _line(run: WorkflowRun) -> str:
    created = f"{run.created_at:%Y-%m-%d %H:%M:%S}"
    parts = [run.run_id, run.workflow_id, run.status, created, _error(run)]
    return "  ".join(filter(None, parts))


def _spoken(facts: Mapping[str, Any]) -> str:
    """Return what is there of some facts, in one line."""
    return "  ".join(_said(v) for v in facts.values() if v not in (None, ""))


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def _count(runs: Any) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
