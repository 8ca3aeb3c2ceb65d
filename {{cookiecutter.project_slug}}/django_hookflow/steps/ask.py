"""`ctx.step.ask`: a question to a person, which may take days to answer.

A question is a wait for an event that only answer_question sends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from typing import ClassVar
from typing import Unpack

from django.db.models import Model

from django_hookflow import clock
from django_hookflow.answers import path_of
from django_hookflow.clock import Duration
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import MisusedStep
from django_hookflow.journal import ANSWER
from django_hookflow.journal import Entry
from django_hookflow.names import is_name
from django_hookflow.outcomes import Ask
from django_hookflow.races import Asked
from django_hookflow.races import QuestionRacer
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.base import refuse_address
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import after

RAISE = "raise"


class AskStep(Step):
    """Its question becomes a row in the commit that begins to wait."""

    kind: ClassVar[str] = "ask"

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        asked: QuestionRacer,
        timeout: Duration | None,
        on_timeout: Any,
    ) -> None:
        super().__init__(session, step_id, options)
        self.asked = asked
        self.timeout = timeout
        self.on_timeout = on_timeout

    def execute(self, entry: Entry) -> Any:
        entry = entry._replace(event_name=ANSWER + self.step_id)
        due = self.due(entry)
        asked = self.ask(entry, due)
        received = self.session.recorder.consume_event(entry)
        if received is not None:
            return self.keep(received)
        if due is not None and clock.now() >= due:
            done = self.unanswered(entry)
            if self.session.recorder.append_decision(done, [entry]):
                return self.keep(done)
        return self.wait(entry, due, asks=asked)

    def ask(self, entry: Entry, due: datetime | None) -> tuple[Ask, ...]:
        refuse_address(self.step_id, entry.event_name, "")
        asked = ask(self.asked, self.step_id, entry, due)
        return () if stands_at(self.session, entry) else (asked,)

    def is_early(self, prior: Entry) -> bool:
        # The answer may be there before its time is up.
        return False

    def due(self, entry: Entry) -> datetime | None:
        if self.timeout is None:
            return None
        return after(self.timeout, self.step_id, entry.started_at)

    def unanswered(self, entry: Entry) -> Entry:
        if self.on_timeout == RAISE:
            return self.late(entry, EventTimeout, "no answer")
        return self.completed(entry, self.on_timeout)


class AskSteps(Steps):
    def ask(
        self,
        step_id: str,
        *,
        timeout: Duration | None = None,
        on_timeout: Any = RAISE,
        **asked: Unpack[Asked],
    ) -> Any:
        """Ask people, and return the Answer of the first of them.

        `form`: a form class of Django; `schema`: a serializer class of DRF,
        or a type that Pydantic takes. `to`: a saved user or its key, or a
        group; `group`: a group or its name. `timeout`: then it raises
        EventTimeout, or returns `on_timeout` if that is given. `remind`: how
        long after it was asked people are told again; `escalate`: how long
        after, and the group that it then goes to.
        """
        return AskStep(
            self._session,
            step_id,
            self._options,
            QuestionRacer(**asked),
            timeout,
            on_timeout,
        ).outcome()


def stands_at(session: Session, entry: Entry) -> bool:
    """True if the run waits there already, so that its question is open."""
    prior = session.journal.get(entry.step_id)
    return prior is not None and prior.address == entry.address


def ask(
    asked: QuestionRacer, step_id: str, entry: Entry, due: datetime | None
) -> Ask:
    """Return a question as it is written; MisusedStep if it makes no sense."""
    title = asked.title or step_id
    if not isinstance(title, str) or not is_name(title):
        raise MisusedStep(
            step_id,
            f"has the title {title!r:.60}",
            "Use 1 to 255 characters, without line breaks; the rest goes "
            "into description=.",
        )
    user, group = _addressee(step_id, asked.to)
    return Ask(
        step_id=step_id,
        title=title,
        description=str(asked.description).replace("\0", ""),
        form=_path(step_id, asked),
        to_user=user,
        to_group=_group(step_id, asked.group) or group,
        due_at=due,
        plan=_plan(step_id, asked, entry),
    )


def _path(step_id: str, asked: QuestionRacer) -> str:
    given = [form for form in (asked.form, asked.schema) if form is not None]
    if not given:
        return ""
    path = path_of(given[0])
    if path is None or len(given) > 1 or not is_name(path):
        raise MisusedStep(
            step_id,
            f"was given {' and '.join(f'{form!r:.60}' for form in given)} "
            "to check its answer",
            "Give one of form= and schema=: a class that stands at the top "
            "of a module, so that it can be imported days later.",
        )
    return path


def _addressee(step_id: str, to: object) -> tuple[str, str]:
    """Return the key of a user and the name of a group, one of them empty."""
    if isinstance(to, Model) and to._meta.label_lower == "auth.group":
        return "", _group(step_id, to)
    if isinstance(to, Model) and to.pk is not None:
        to = str(to.pk)
    if to is None or to == "":
        return "", ""
    if not isinstance(to, str) or not is_name(to):
        raise MisusedStep(
            step_id,
            f"was given to={to!r:.60}",
            "Give a saved user or its key as text, as ctx.owner is, or a "
            "group.",
        )
    return to, ""


def _group(step_id: str, group: object) -> str:
    name = getattr(group, "name", group)
    if name is None:
        return ""
    if not isinstance(name, str) or not is_name(name):
        raise MisusedStep(
            step_id,
            f"was given the group {group!r:.60}",
            "Give a group or its name.",
        )
    return name


def _plan(
    step_id: str, asked: QuestionRacer, entry: Entry
) -> tuple[tuple[datetime, str], ...]:
    since = entry.started_at
    plan = [(after(again, step_id, since), "") for again in asked.remind]
    if asked.escalate is not None:
        wait, group = asked.escalate
        plan.append((after(wait, step_id, since), _group(step_id, group)))
    return tuple(sorted(plan))
