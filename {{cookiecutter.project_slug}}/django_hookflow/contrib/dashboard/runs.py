"""The list of runs, and the page of one with the buttons that steer it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from django_hookflow import cancel_run
from django_hookflow import fork_run
from django_hookflow import open_questions
from django_hookflow import pause_run
from django_hookflow import resume_run
from django_hookflow import retry_run
from django_hookflow.answers import ANSWER_ANY
from django_hookflow.contrib.api import access
from django_hookflow.contrib.api import serializers as shapes
from django_hookflow.contrib.api.access import CRUD_THROTTLE
from django_hookflow.contrib.api.access import RESUME_PERMISSION
from django_hookflow.contrib.api.actions import Possible
from django_hookflow.contrib.api.actions import possible
from django_hookflow.contrib.api.base import LARGE
from django_hookflow.contrib.api.errors import refusals
from django_hookflow.contrib.api.filters import RunFilters
from django_hookflow.contrib.api.filters import StepQuery
from django_hookflow.contrib.api.filters import chosen
from django_hookflow.contrib.api.pagination import BOUND
from django_hookflow.contrib.api.pagination import MOST
from django_hookflow.contrib.api.pagination import page
from django_hookflow.contrib.api.views import FlowViewSet
from django_hookflow.contrib.api.views import refuse_other_data
from django_hookflow.contrib.dashboard.pages import Done
from django_hookflow.contrib.dashboard.pages import PageViewSet
from django_hookflow.contrib.dashboard.pages import asked
from django_hookflow.contrib.dashboard.pages import json_of
from django_hookflow.contrib.dashboard.pages import older
from django_hookflow.contrib.dashboard.timeline import rows_of
from django_hookflow.contrib.dashboard.timeline import took
from django_hookflow.inspection.runs import explain
from django_hookflow.models import Question
from django_hookflow.models import WorkflowRun
from django_hookflow.names import NAME_LENGTH
from django_hookflow.states import RunStatus
from django_hookflow.workflows.registry import get_workflow

UNDO = "undo"  # the kind of a step that undoes another
SHOWN = 50  # children, events and entries of the audit on the page of a run
STEPS_SHOWN = 100  # on the page of a run
MOST_TEXT = 20_000  # characters of a payload on a page

# What follows the id of a run, and the method that does it.
ACTIONS = {
    "cancel": "cancel_page",
    "pause": "pause_page",
    "resume": "resume_page",
    "retry": "retry_page",
    "fork": "fork_page",
    "send-event": "send_event_page",
}
# Those that need the other permission of a workflow.
RESUMING = ("resume", "send_event", "answer")


class PageFilters(RunFilters):
    """The parameters of the list."""

    q = serializers.CharField(required=False, max_length=NAME_LENGTH)


class PageStepQuery(StepQuery):
    """The parameters of the page of a run."""

    limit = serializers.IntegerField(
        default=STEPS_SHOWN, min_value=1, max_value=MOST
    )


class RunPages(PageViewSet, FlowViewSet):
    """Runs: a list, and a page for each."""

    tab = "runs"

    def index(self, request: Request) -> HttpResponseBase:
        """The newest runs, with numbers by status."""
        wanted = asked(request, PageFilters)
        searched = wanted.pop("q", "")
        if searched and self.runs().filter(run_id=searched).exists():
            return redirect("hookflow_dashboard:run", searched)
        runs = found_by(searched, self.runs())
        status = wanted.get("status", "")
        of_any = {k: v for k, v in wanted.items() if k != "status"}
        if "=" in searched:
            name, _, text = searched.partition("=")
            of_any["attributes"] = {name.strip(): attribute_of(text.strip())}
        of_all = chosen(request, runs, of_any)
        of_one = chosen(
            request, runs, of_any | ({"status": status} if status else {})
        )
        found = page(request, of_one.defer(*LARGE), wanted)
        context = {
            "rows": [
                (run, took(run.duration)) for run in self.gate.near(found.rows)
            ],
            "older": older(request, found.next_cursor),
            "counts": self.counts(request, of_all, status),
            "bound": BOUND,
            "workflows": sorted({info.name for info in self.infos()}),
            "wanted": wanted,
            "searched": searched,
            "is_live": "cursor" not in wanted,
        }
        return self.show("runs", context)

    def counts(
        self, request: Request, runs: QuerySet[WorkflowRun], chosen_one: str
    ) -> list[dict[str, Any]]:
        """Return a link for each status, with the number of its runs.

        Of the newest BOUND ones.
        """
        newest = runs.order_by("-pk").values_list("status", flat=True)
        numbers = Counter(newest[:BOUND])
        names = ["", *map(str, RunStatus)]
        found = []
        for name in names:
            query = request.query_params.copy()
            for one in ("cursor", "offset", "status"):
                query.pop(one, None)
            if name:
                query["status"] = name
            found.append(
                {
                    "name": name or "all",
                    "number": numbers[name] if name else numbers.total(),
                    "query": query.urlencode(),
                    "is_chosen": name == chosen_one,
                }
            )
        return found

    def run_page(self, request: Request, run_id: str) -> HttpResponseBase:
        """A run: its steps, why it waits, and the buttons that move it."""
        return self.shown(self.get_run(run_id))

    def shown(
        self,
        run: WorkflowRun,
        status: int = 200,
        problems: list[str] | None = None,
        opened: str = "",
    ) -> HttpResponseBase:
        """Return the page of a run. `opened`: the form that was refused."""
        is_read = self.http.method in ("GET", "HEAD")
        query = self.request if is_read else None
        wanted = asked(query, PageStepQuery) if query else {}
        limit, after = (
            wanted.get("limit", STEPS_SHOWN),
            wanted.get("after", -1),
        )
        rows = run.step_executions.filter(position__gt=after)
        steps = list(rows.defer("result").order_by("position")[: limit + 1])
        shown = steps[:limit]
        found = possible(run)
        context = {
            "run": run,
            "why": explain(run),
            "took": took(run.duration),
            "is_staff": access.is_staff(self.request),
            "steps": rows_of(shown),
            "forkable": [one.step_id for one in shown if one.kind != UNDO],
            "next_after": shown[-1].position if len(steps) > limit else None,
            "buttons": self.buttons(run, found),
            "events_awaited": found.events,
            "questions": self.questions_of(found.questions),
            "problems": problems or [],
            "opened": opened,
            "posted": {} if is_read else self.posted,
            **self.payloads(run),
            **self.related(run),
        }
        return self.show("run", context, status)

    def buttons(self, run: WorkflowRun, found: Possible) -> list[str]:
        """Return what this user may do to the run now."""
        if not access.may_steer(self.request, run.owner):
            return []
        resumes = self.gate.lets_near(RESUME_PERMISSION, run)
        return [one for one in found.actions if resumes or one not in RESUMING]

    def questions_of(self, found: list[Question]) -> list[Any]:
        """Return the open questions, each with whether the user answers."""
        if not found or self.request.user.pk is None:
            return [(one, False) for one in found]
        may_any = access.has_permission(self.request, ANSWER_ANY)
        mine = open_questions(self.user).filter(
            pk__in=[one.pk for one in found]
        )
        keys = set(mine.values_list("pk", flat=True))
        return [(one, may_any or one.pk in keys) for one in found]

    def payloads(self, run: WorkflowRun) -> dict[str, Any]:
        """Return what was given, received and returned, as text."""
        if not access.may_see_payloads(self.request, run.owner):
            return {"sees_payloads": False}
        events = run.events.order_by("-pk")[:SHOWN]
        data = written(run.data)
        return {
            "sees_payloads": True,
            "data": shortened(data),
            # A form must not hold a part of it.
            "editable": data if len(data) <= MOST_TEXT else "",
            "result": shortened(written(run.result)),
            "events": [(one, shortened(written(one.data))) for one in events],
        }

    def related(self, run: WorkflowRun) -> dict[str, Any]:
        """Return the runs around a run, and what was done to it."""
        seen = access.visible(self.request).defer(*LARGE).order_by("pk")
        children = list(seen.filter(parent=run)[: SHOWN + 1])
        return {
            "children": self.gate.near(children[:SHOWN]),
            "has_more_children": len(children) > SHOWN,
            "followers": self.gate.near(seen.filter(origin=run)[:SHOWN]),
            "audit": run.audit_entries.order_by("-pk")[:SHOWN],
        }

    def step_page(
        self, request: Request, run_id: str, position: int
    ) -> HttpResponseBase:
        """One step with its result and its error."""
        run = self.get_run(run_id)
        step = run.step_executions.filter(position=position).first()
        if step is None:
            raise NotFound(
                f"Run {run_id!r} has no step at position {position}."
            )
        sees = access.may_see_payloads(request, run.owner)
        context = {
            "run": run,
            "row": rows_of([step])[0],
            "sees_payloads": sees,
            "result": shortened(written(step.result)) if sees else "",
        }
        return self.show("step", context)

    def cancel_page(self, request: Request, run_id: str) -> HttpResponseBase:
        """Cancel a run, once the box that says so is checked."""

        def cancel(run: WorkflowRun) -> Done:
            if self.posted.get("confirm") != "yes":
                raise ValidationError(
                    "Nothing was cancelled. Check the box to confirm it."
                )
            return self.changed(run, cancel_run, "The run is cancelled.")

        return self.steered(run_id, "cancel", cancel)

    def pause_page(self, request: Request, run_id: str) -> HttpResponseBase:
        """Pause a run."""

        def pause(run: WorkflowRun) -> Done:
            return self.changed(run, pause_run, "The run is paused.")

        return self.steered(run_id, "pause", pause)

    def resume_page(self, request: Request, run_id: str) -> HttpResponseBase:
        """End the pause of a run."""

        def resume(run: WorkflowRun) -> Done:
            return self.changed(run, resume_run, "The run goes on.")

        return self.steered(run_id, "resume", resume)

    def retry_page(self, request: Request, run_id: str) -> HttpResponseBase:
        """Begin a failed run again, and go to the new one."""

        def retry(run: WorkflowRun) -> Done:
            self.throttle(CRUD_THROTTLE, run.workflow_id, run.version)
            with refusals():
                begun = retry_run(run_id, by=self.by, reason=self.reason())
            return f"Run {run_id} goes on as this one.", where(begun)

        return self.steered(run_id, "retry", retry)

    def fork_page(self, request: Request, run_id: str) -> HttpResponseBase:
        """Begin another run at a step of this one, and go there."""

        def fork(run: WorkflowRun) -> Done:
            data = json_of(self.posted.get("data", ""), "data")
            body = self.body(
                shapes.ForkSerializer,
                {"step_id": self.posted.get("step_id", "")},
            )
            self.throttle(CRUD_THROTTLE, run.workflow_id, run.version)
            with refusals():
                workflow = get_workflow(run.workflow_id, run.version)
            refuse_other_data(workflow, data, "data")
            changed = None if data == run.data else data
            with refusals("step" if changed is None else "data"):
                begun = fork_run(
                    run_id,
                    body["step_id"],
                    changed,
                    by=self.by,
                    reason=self.reason(),
                )
            return f"This run is a fork of {run_id}.", where(begun)

        return self.steered(run_id, "fork", fork)

    def send_event_page(
        self, request: Request, run_id: str
    ) -> HttpResponseBase:
        """Send an event to a run."""

        def send(run: WorkflowRun) -> Done:
            data = json_of(self.posted.get("data", ""), "data")
            body = self.body(
                shapes.NewEventSerializer,
                {"name": self.posted.get("name", ""), "data": data},
            )
            self.send(run, body["name"], data, {}, "name")
            return f"The event {body['name']} was sent.", where(run_id)

        return self.steered(run_id, "send-event", send)

    def steered(
        self, run_id: str, opened: str, do: Callable[[WorkflowRun], Done]
    ) -> HttpResponseBase:
        """Do something to a run, or draw its page with the refusal."""
        is_resuming = opened.replace("-", "_") in RESUMING
        run = (
            self.get_run_to_resume(run_id)
            if is_resuming
            else self.get_run_to_steer(run_id)
        )

        def again(status: int, problems: list[str]) -> HttpResponseBase:
            # As it is now: another may have been faster.
            return self.shown(self.get_run(run_id), status, problems, opened)

        return self.acted(lambda: do(run), again)

    def changed(
        self, run: WorkflowRun, operation: Callable[..., None], said: str
    ) -> Done:
        """Do it now; a step under way ends first."""
        reason = self.reason()
        with refusals():
            operation(run.run_id, by=self.by, reason=reason)
        run.refresh_from_db(fields=["requested", "status"])
        if run.status == RunStatus.RUNNING and run.requested:
            said = f"It is to {run.requested} after the step under way."
        return said, where(run.run_id)

    def reason(self) -> str:
        given: Mapping[str, Any] = {"reason": self.posted.get("reason", "")}
        return str(self.body(shapes.ReasonSerializer, given)["reason"])


def where(run_id: str) -> str:
    return reverse("hookflow_dashboard:run", args=[run_id])


def found_by(
    searched: str, runs: QuerySet[WorkflowRun]
) -> QuerySet[WorkflowRun]:
    """Return the runs about the row that is searched for, "shop.order:7"."""
    if not searched or "=" in searched:
        return runs
    return runs.filter(subject=searched)


def attribute_of(text: str) -> Any:
    """Return the value of an attribute that was searched for."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def written(value: Any) -> str:
    """Return JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def shortened(text: str) -> str:
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n… and {len(text) - MOST_TEXT:,} characters"
