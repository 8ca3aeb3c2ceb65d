"""`ctx.step.first`: wait for several things, and go on with the first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from typing import ClassVar

from django_hookflow import clock
from django_hookflow.exceptions import MisusedStep
from django_hookflow.journal import ANSWER
from django_hookflow.journal import FIRST
from django_hookflow.journal import RACER
from django_hookflow.journal import Entry
from django_hookflow.outcomes import Ask
from django_hookflow.races import EventRacer
from django_hookflow.races import QuestionRacer
from django_hookflow.races import Racer
from django_hookflow.races import TimeRacer
from django_hookflow.steps.ask import ask
from django_hookflow.steps.ask import stands_at
from django_hookflow.steps.base import Step
from django_hookflow.steps.base import Steps
from django_hookflow.steps.base import refuse_address
from django_hookflow.steps.options import Options
from django_hookflow.steps.session import Session
from django_hookflow.steps.sleep import after


class FirstStep(Step):
    """Its entry waits for the first event, and for the earliest time.

    Each other event has an entry beside it, `<id>.<name>`, until the race is
    decided.
    """

    kind: ClassVar[str] = FIRST

    def __init__(
        self,
        session: Session,
        step_id: str,
        options: Options,
        racers: Mapping[str, Racer],
    ) -> None:
        super().__init__(session, step_id, options)
        self.racers = racers

    def outcome(self) -> Any:
        self.refuse_misuse()
        prior = self.session.ask(self.step_id, self.kind)
        beside = {
            name: self.session.ask(f"{self.step_id}.{name}", RACER)
            for name in self.events[1:]
        }
        if prior is not None and prior.is_recorded:
            self.session.replayed(prior)
            return self.answer(prior)
        entry = self.session.begin(self.step_id, self.kind, prior)
        self.beside = [
            self.session.begin(f"{self.step_id}.{name}", RACER, known)
            for name, known in beside.items()
        ]
        return self.session.execute(entry, self.execute)

    @property
    def events(self) -> list[str]:
        """The names of the racers that are events, in order."""
        return [
            name
            for name, racer in self.racers.items()
            if isinstance(racer, EventRacer | QuestionRacer)
        ]

    def refuse_misuse(self) -> None:
        if not self.racers:
            raise self.misused("has nothing to wait for")
        for name, racer in self.racers.items():
            if not isinstance(racer, Racer):
                raise self.misused(f"was given {name}={racer!r:.60}")
            if isinstance(racer, EventRacer):
                self.refuse_twins(racer)

    def refuse_twins(self, racer: EventRacer) -> None:
        refuse_address(self.step_id, racer.name, racer.match)
        if [*self.racers.values()].count(racer) > 1:
            raise self.misused(f"waits for {racer.name!r} twice")

    def misused(self, problem: str) -> MisusedStep:
        return MisusedStep(
            self.step_id,
            problem,
            'Write ctx.step.first("id", paid=event("payment"), '
            'late=after("3d")), with functions of django_hookflow.races, '
            "each for something else.",
        )

    def execute(self, entry: Entry) -> Any:
        # First, so that a bad duration consumes nothing.
        name, due = self.earliest(entry)
        waits = self.waits(entry)
        recorder = self.session.recorder
        asks = self.asks(waits)
        entry = next(iter(waits.values()), entry)
        won = recorder.consume_first(entry, waits) if waits else None
        if won is not None:
            return self.keep(won)
        if due is not None and clock.now() >= due:
            done = self.completed(entry, (name, None))
            if recorder.append_decision(done, waits.values()):
                return self.keep(done)
        racers = tuple(waits.values())[1:]
        return self.wait(entry, due, racers=racers, asks=asks)

    def waits(self, entry: Entry) -> dict[str, Entry]:
        """Return the entries that wait for events, by the names of racers."""
        waits = {}
        for number, name in enumerate(self.events):
            one = self.beside[number - 1] if number else entry
            event, match = self.address(name, one.step_id)
            waits[name] = one._replace(
                event_name=event,
                event_match=match,
                position=entry.position + number,
            )
        return waits

    def address(self, name: str, step_id: str) -> tuple[str, str]:
        racer = self.racers[name]
        if isinstance(racer, EventRacer):
            return racer.name, racer.match
        return ANSWER + step_id, ""

    def asks(self, waits: Mapping[str, Entry]) -> tuple[Ask, ...]:
        """Return the questions that are not open yet."""
        asked = []
        for name, entry in waits.items():
            racer = self.racers[name]
            if isinstance(racer, QuestionRacer):
                refuse_address(entry.step_id, entry.event_name, "")
                one = ask(racer, entry.step_id, entry, None)
                if not stands_at(self.session, entry):
                    asked.append(one)
        return tuple(asked)

    def earliest(self, entry: Entry) -> tuple[str, datetime | None]:
        """Return the racer whose time comes first, and when; None is never."""
        times = [
            (name, after(racer.duration, self.step_id, entry.started_at))
            for name, racer in self.racers.items()
            if isinstance(racer, TimeRacer)
        ]
        return min(times, key=lambda one: one[1], default=("", None))


class FirstSteps(Steps):
    def first(self, step_id: str, /, **racers: Racer) -> tuple[str, Any]:
        """Wait for several things; return the name and value of the first.

        `racers`: values of django_hookflow.races by names of your own. An
        event that is there beats a time that is over, the event sent first
        beats the others, and of several times the earliest wins. An event
        that has not won stays for other waits.
        """
        won: tuple[str, Any] = FirstStep(
            self._session, step_id, self._options, racers
        ).outcome()
        return won
