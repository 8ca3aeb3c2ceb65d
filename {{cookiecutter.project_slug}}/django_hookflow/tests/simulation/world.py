"""One history: a clock, a crew, a network, and notes of what happened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from django.db import OperationalError
from django.db import connection
from django.db import transaction
from django.db.models import QuerySet

from django_hookflow import Compensation
from django_hookflow import answer_question
from django_hookflow import cancel_run
from django_hookflow import clock
from django_hookflow import pause_run
from django_hookflow import resume_run
from django_hookflow import send_event
from django_hookflow import stopping
from django_hookflow import workflow
from django_hookflow.exceptions import AlreadyReplayed
from django_hookflow.exceptions import EventTimeout
from django_hookflow.exceptions import QuestionClosed
from django_hookflow.exceptions import RunNotFound
from django_hookflow.exceptions import RunNotOpen
from django_hookflow.exceptions import RunNotPaused
from django_hookflow.exceptions import WorkflowNotFound
from django_hookflow.models import DeadLetterEntry
from django_hookflow.models import Event
from django_hookflow.models import Question
from django_hookflow.models import StepExecution
from django_hookflow.models import WorkflowRun
from django_hookflow.operations import maintenance
from django_hookflow.states import RECORDED
from django_hookflow.tests.simulation.choices import Choices
from django_hookflow.tests.simulation.crew import ProcessDied
from django_hookflow.tests.simulation.crew import Worker
from django_hookflow.tests.simulation.crew import here
from django_hookflow.tests.simulation.network import Message
from django_hookflow.tests.simulation.network import Network
from django_hookflow.tests.simulation.network import SimulatedTransport
from django_hookflow.tests.simulation.programs import DAY
from django_hookflow.tests.simulation.programs import EPOCH
from django_hookflow.tests.simulation.programs import EXITS
from django_hookflow.tests.simulation.programs import FATAL
from django_hookflow.tests.simulation.programs import KEYS
from django_hookflow.tests.simulation.programs import KINDS
from django_hookflow.tests.simulation.programs import LEASE
from django_hookflow.tests.simulation.programs import OWN
from django_hookflow.tests.simulation.programs import PATIENT
from django_hookflow.tests.simulation.programs import PERSON
from django_hookflow.tests.simulation.programs import Ask
from django_hookflow.tests.simulation.programs import Author
from django_hookflow.tests.simulation.programs import Do
from django_hookflow.tests.simulation.programs import FanOut
from django_hookflow.tests.simulation.programs import Invoke
from django_hookflow.tests.simulation.programs import Program
from django_hookflow.tests.simulation.programs import Race
from django_hookflow.tests.simulation.programs import Sleep
from django_hookflow.tests.simulation.programs import Stage
from django_hookflow.tests.simulation.programs import Tell
from django_hookflow.tests.simulation.programs import Wait
from django_hookflow.tests.simulation.programs import Work
from django_hookflow.tests.simulation.programs import perform
from django_hookflow.transports.memory import post
from django_hookflow.workflows import registry
from django_hookflow.workflows.context import WorkflowContext
from django_hookflow.workflows.wrapper import WorkflowWrapper

LEDGER = "simulation_ledger"
APPEND = "INSERT INTO django_hookflow_stepexecution"
COMMIT = "UPDATE django_hookflow_workflowrun"
FATALS = [error.__name__ for error in FATAL]
ROOTS = (1, 1, 2, 3)  # runs that are triggered from outside
ACTIONS = 50  # of the hostile part of a history
PATIENCE = 3000  # actions of the calm part, until it is called endless
FAULTS = 12  # deaths of workers in one history, and naps
TIMEOUT = timedelta(days=10)  # of a run of version 2
DELAYS = (0, 0, 0, 600, 2 * DAY)  # seconds until a run begins
PEACE, RACE = 6, 25  # percent of the boundaries where something happens


class Violation(BaseException):
    """A promise was broken. No workflow can catch it."""


stopping.let_pass(Violation)


@dataclass(frozen=True)
class Fault:
    """A bug for the simulation to find: statements that come out wrong."""

    name: str
    rewrite: Callable[[str, Any], tuple[str, Any]]
    kinds: tuple[str, ...] = KINDS  # of the nodes in which it hides
    is_of_terms: bool = False  # of versions, delays or deadlines
    is_of_pauses: bool = False


class Person:
    """Whom the programs ask."""

    pk, is_active = PERSON, True


@dataclass
class Notes:
    """Notes of the workflows, kept outside of the database."""

    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    begun: dict[tuple[str, str], datetime] = field(default_factory=dict)
    reached: dict[tuple[str, str], datetime] = field(default_factory=dict)
    # Events by their serial number: the moment after their COMMIT.
    told: dict[str, int] = field(default_factory=dict)
    # Answers that were accepted, by the key of their question.
    answers: dict[int, str] = field(default_factory=dict)
    moments: Iterator[int] = field(default_factory=lambda: count(1))
    triggered: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    # Steps that began after their run was to pause, by the name of the lease
    # that it was given then.
    begun_late: Counter[str] = field(default_factory=Counter)
    # How runs that were triggered from outside are to begin: the version of
    # their workflow, and seconds from then.
    terms: dict[str, tuple[int, int]] = field(default_factory=dict)
    # By run: deliveries that died or fell asleep, and writes that failed.
    interrupted: Counter[str] = field(default_factory=Counter)
    unwritten: Counter[str] = field(default_factory=Counter)

    def tick(self) -> int:
        return next(self.moments)


class World:
    """The scheduler of one history, from its first choice to its last."""

    current: World | None = None
    # One worker moves at a time, so nothing happens between the engine's
    # look at its lease and the first line of a step.
    is_exact = True
    # Answers that are no fault of the engine: busy, and the lease lost.
    tried_again = frozenset({409, 503})

    def __init__(
        self, choices: Choices, crew: list[Worker], fault: Fault | None = None
    ) -> None:
        self.choices = choices
        self.crew = crew
        self.fault = fault
        self.now = EPOCH
        self.network = Network(choices)
        self.notes = Notes()
        self.trace: list[str] = []
        self.deaths_left = choices.below(FAULTS)
        self.naps_left = choices.below(FAULTS)
        self.is_hostile = True
        self.ill_until = EPOCH  # the journal cannot be written before
        self.at_work: dict[str, str] = {}  # run ids by the worker's name
        # A fault is planted in a statement; every other history has none.
        self.sees_statements = fault is not None or not choices.chance(50)
        self.programs = self._write_programs()
        # What they were before each deploy, and are.
        self.versions = [[program] for program in self.programs]
        self.deploys_left = self.choices.below(2)  # when all is quiet
        self.owes_look = False  # at what runs wait for, since a deploy
        # With two versions, of which one has a timeout: its deadlines bring
        # sweeps, and those heal what other faults break.
        self.is_mixed = fault.is_of_terms if fault else choices.chance(50)
        self.retirements_left = self.choices.below(3) * self.is_mixed
        self.jobs = self._plan_jobs()

    # The history.

    def play(self, look: Callable[[], None]) -> None:
        """Act at random, then calmly until nothing is left to do.

        `look` is called whenever a worker has done something.
        """
        self._look = look
        with self.at_rest():
            try:
                for _ in range(ACTIONS):
                    self.choices.pick(self._possible())()
                self._calm_down()
                while (action := self._next()) is not None:
                    action()
            finally:
                self._bring_back()
                self._send_home()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """The clock and the network of this history, and nothing moves."""
        World.current = self
        SimulatedTransport.network = self.network
        try:
            with clock.source(lambda: self.now):
                yield
        finally:
            World.current = None
            SimulatedTransport.network = None

    def _possible(self) -> list[Do]:
        """Return the possible actions; the likely ones several times."""
        actions: list[Do] = [self._pass_some_time]
        if self.network.waiting:
            actions += [self._pass_to_next] * 2
        actions += [partial(self.resume, worker) for worker in self.asleep]
        due = self.network.due()
        actions += [partial(self.deliver, message) for message in due] * 4
        actions += [partial(self.run_job, job) for job in self.jobs] * 2
        actions += [self.sweep]
        if self.sees_statements:
            actions += [self._fall_ill]
        if self.retirements_left:
            actions += [self._retire]
        with unseen():
            asked = [*Question.objects.values_list("pk", flat=True)]
        actions += [partial(self.answer, key) for key in asked]
        return [*actions, self._bring_back]

    def _next(self) -> Do | None:
        """Return the next action when nothing goes wrong any more."""
        self.patience -= 1
        if self.patience < 0:
            raise Violation("The history does not come to an end")
        if self.asleep:
            return partial(self.resume, self.asleep[0])
        if self.jobs:
            return partial(self.run_job, self.jobs[0])
        if due := self.network.due():
            return partial(self.deliver, due[0])
        overdue = self._overdue_at()
        if overdue is not None and overdue <= self.now:
            return self.sweep
        times = [t for t in (self.network.next_due(), overdue) if t]
        if times:
            return partial(self._move_to, min(times))
        if self.deploys_left:
            self.deploys_left -= 1
            return self.deploy
        return self._look_again_after_deploy if self.owes_look else None

    def _calm_down(self) -> None:
        self.say("from here on nothing goes wrong")
        self.is_hostile = self.network.is_hostile = False
        self.ill_until = EPOCH
        self.patience = PATIENCE
        self._bring_back()

    def _send_home(self) -> None:
        for worker in self.asleep:
            worker.kill()

    # Actions.

    @property
    def asleep(self) -> list[Worker]:
        return [worker for worker in self.crew if worker.is_paused]

    def resume(self, worker: Worker) -> None:
        self.say(f"{worker.name} wakes up")
        worker.resume()
        self._look()

    def deliver(self, message: Message) -> None:
        self.network.take(message)
        delivery = message.delivery
        fell_asleep = self._employ(
            f"{delivery.run_id} message {message.number} "
            f"({delivery.token[:6]}, {message.retried})",
            partial(self._deliver, message),
            delivery.run_id,
        )
        if fell_asleep and self.choices.chance(60):
            self.say("   nobody answers in time")
            self.network.again(message, 0)
            if self.choices.chance(80):
                self.now += timedelta(seconds=LEASE + 1)

    def run_job(self, job: Do) -> None:
        self.jobs.remove(job)
        self._employ(f"client {describe(job)}", partial(self._persist, job))

    def sweep(self) -> None:
        self._employ("sweeper", self._sweep)

    def answer(self, key: int) -> None:
        """Answer a question, which may be closed."""
        data = f"answer-{self.notes.tick()}"
        job = partial(self._persist, partial(self._answer, key, data))
        self._employ(f"person gives {data} to {key}", job)

    def _fall_ill(self) -> None:
        seconds = self.choices.pick((60, 600, LEASE + 1, 2 * DAY))
        self.ill_until = self.now + timedelta(seconds=seconds)
        self.say(f"the disk is full until {self.ill_until:%d %b %H:%M:%S}")

    def deploy(self) -> None:
        """Change what a program waits for, and maybe run the command."""
        waits = [
            (number, node)
            for number, program in enumerate(self.programs)
            for node in program
            if isinstance(node, Wait | Invoke)
        ]
        if not waits:
            return
        number, wait = self.choices.pick(waits)
        instead = changed(wait, self.choices)
        self.say(f"   program {number} has {instead} instead of {wait.id}")
        program = tuple(
            new
            for node in self.programs[number]
            for new in (instead if node is wait else [node])
        )
        self.programs[number] = program
        self.versions[number].append(program)
        self.owes_look = True
        if self.choices.chance(50):
            self.jobs.append(partial(self._look_again))

    def _retire(self) -> None:
        """Deploy without one of the versions, whose runs must wait for it."""
        self.retirements_left -= 1
        version = self.choices.pick(sorted(VERSIONS))
        self.say(f"version {version} is not deployed any more")
        registry.unregister("simulated", version)

    def _bring_back(self) -> None:
        for flow in VERSIONS.values():
            registry.register(flow)

    def _look_again_after_deploy(self) -> None:
        """The command after the last old worker ended, or a day of sweeps."""
        self.owes_look = False
        if self.choices.chance(50):
            self._move_to(self.now + timedelta(seconds=DAY + 1))
            self.sweep()
        else:
            self._employ("sweeper --waiting", self._look_again)

    def _pass_some_time(self) -> None:
        seconds = self.choices.pick((1, 60, 600, LEASE + 1, DAY, 8 * DAY))
        self._move_to(self.now + timedelta(seconds=seconds))

    def _pass_to_next(self) -> None:
        due = self.network.next_due()
        self._move_to(max(due, self.now) if due else self.now)

    def _move_to(self, moment: datetime) -> None:
        self.now = moment
        self.say(f"it is {self.now:%d %b %H:%M:%S}")

    def _employ(self, what: str, job: Do, run_id: str = "") -> bool:
        """Let the next free worker do it; whether it fell asleep at it."""
        worker = next(w for w in self.crew if not w.is_paused)
        self.at_work[worker.name] = run_id
        self.say(f"{worker.name}: {what}")
        worker.start(self, job)
        self._look()
        return worker.is_paused

    # In a worker.

    def _overtaken(self, run_id: str) -> None:
        """Its worker slept too long; this world knows, who sent it to bed."""

    def _deliver(self, message: Message) -> None:
        try:
            response = post(message.delivery, message.retried)
        except ProcessDied:
            self.network.again(message)
            raise
        except EXITS as error:
            raise Violation(f"A step ended its worker: {error!r}") from error
        if response.status_code in self.tried_again:
            pause = response.headers.get("Retry-After")
            self.network.again(message, float(pause) if pause else None)
            if response.status_code == 503:
                self._overtaken(message.delivery.run_id)
        elif response.status_code != 200:
            error = getattr(response, "exc_info", None)
            raise Violation(
                f"Answered {response.status_code}: {error and error[1]!r}"
            )
        elif self.network.is_hostile and self.choices.chance(5):
            self.say("   the answer is lost")
            self.network.again(message)
        answer = response.getvalue().decode()
        self.say(f"   {response.status_code} {answer}")
        if json.loads(answer).get("status") == "failed":
            self._plan_replay(message.delivery.run_id)

    def _persist(self, job: Do) -> None:
        """A client that does not know whether it was heard asks again."""
        try:
            job()
        except ProcessDied:
            self.jobs.append(job)
            raise
        except OperationalError as error:
            self.say(f"   {error}")
            self.jobs.append(job)
        except RunNotFound:
            self.say("   there is no such run yet")
            self.jobs.append(job)

    def _plan_replay(self, run_id: str) -> None:
        """Replay the letter, as one person does, or two at once."""
        with unseen():
            letters = DeadLetterEntry.objects.filter(run_id=run_id)
            has_letter = letters.exists()
        if has_letter and self.choices.chance(70):
            job = partial(self._replay, run_id)
            self.jobs += [job] * (1 + self.choices.chance(50))

    def _replay(self, run_id: str) -> None:
        with unseen():
            letter = DeadLetterEntry.objects.get(run_id=run_id)
        try:
            self.say(f"   begun again as {letter.replay()}")
        except AlreadyReplayed as error:
            self.say(f"   {error}")
        except WorkflowNotFound as error:
            self.say(f"   {error}")
            self.jobs.append(partial(self._replay, run_id))

    def _cancel(self, run_id: str) -> None:
        # Its process may die behind the COMMIT, and another ask again.
        self.notes.cancelled.add(run_id)
        try:
            cancel_run(run_id)
        except RunNotOpen as error:
            self.say(f"   {error}")

    def _pause(self, run_id: str) -> None:
        """Pause a run, and plan to resume it later."""
        naps = self.naps_left
        try:
            pause_run(run_id)
            with unseen():
                run = WorkflowRun.objects.get(run_id=run_id)
            if naps == self.naps_left and run.requested != "pause":
                raise Violation(f"{run_id} is {run.status}, and not to pause")
        except RunNotOpen as error:
            self.say(f"   {error}")
        else:
            self.jobs.append(partial(self._resume, run_id))

    def _resume(self, run_id: str) -> None:
        try:
            resume_run(run_id)
        except RunNotPaused as error:
            self.say(f"   {error}")

    def _sweep(self) -> None:
        swept = maintenance.sweep()
        self.say(f"   {swept} swept")

    def _look_again(self) -> None:
        found = maintenance.look_again(1000, self.now)
        self.say(f"   looked again at {found}")

    def _trigger(self, run_id: str, program: int) -> None:
        terms = self.notes.terms
        if run_id not in terms:
            version = 1 + (self.is_mixed and self.choices.chance(50))
            delays = DELAYS if self.is_mixed else (0,)
            terms[run_id] = version, self.choices.pick(delays)
        version, delay = terms[run_id]
        data = {"program": program}
        VERSIONS[version].trigger(data=data, run_id=run_id, delay=delay)
        self.notes.triggered.add(run_id)

    def _send(self, serial: str, name: str, **address: str) -> None:
        match = address.get("match")
        asleep, naps = self._asleep_at(name, match), self.naps_left
        send_event(name, serial, event_id=serial, **address)
        if naps == self.naps_left:  # else others moved meanwhile
            still = self._asleep_at(name, match)
            if still not in (asleep, asleep[1:]):
                raise Violation(
                    f"{serial} left {still} asleep, of {asleep} in order"
                )
        self.notes.told.setdefault(serial, self.notes.tick())

    def _answer(self, key: int, data: str) -> None:
        person: Any = Person()
        try:
            answer_question(key, data, by=person)
        except QuestionClosed as error:
            self.say(f"   {error}")
        else:
            self.notes.answers[key] = data

    def _broadcast(self, serial: str, name: str) -> None:
        with unseen():
            asleep = {*self._sleepers(name)}
        naps = self.naps_left
        reached = send_event(name, serial, broadcast=True, event_id=serial)
        self.say(f"   {reached} reached")
        with unseen():
            still = asleep & {*self._sleepers(name)}
        if naps == self.naps_left and still:
            raise Violation(f"{serial} left {still} asleep")

    def _sleepers(self, name: str) -> QuerySet[WorkflowRun, int]:
        steps = StepExecution.objects.filter(event_name=name, status="waiting")
        return WorkflowRun.objects.filter(
            step_executions__in=steps, status="waiting", wake_at=None
        ).values_list("pk", flat=True)

    def _asleep_at(self, name: str, match: str | None) -> list[int]:
        """The runs that wait for a match, without time, the first first."""
        if match is None:
            return []
        with unseen():
            steps = StepExecution.objects.filter(
                event_name=name,
                event_match=match,
                status="waiting",
                workflow_run__status="waiting",
                workflow_run__wake_at=None,
            )
            runs = steps.order_by("pk").values_list("workflow_run", flat=True)
            return list(runs)

    # What the crew asks its scheduler.

    def at_boundary(self, worker: Worker, where: str, pause: bool) -> None:
        # Who meets a sleeper is in a race, which is what we are here for.
        if not self.is_hostile or not self.choices.chance(
            RACE if self.asleep else PEACE
        ):
            return
        # The last one awake has nobody to make room for.
        may_nap = pause and len(self.asleep) < len(self.crew) - 1
        if may_nap and self.naps_left and self.choices.chance(60):
            self.naps_left -= 1
            self.notes.interrupted[self.at_work[worker.name]] += 1
            self.say(f"   {worker.name} falls asleep {where}")
            worker.pause()
        elif self.deaths_left:
            self.deaths_left -= 1
            self.notes.interrupted[self.at_work[worker.name]] += 1
            self.say(f"   {worker.name} dies {where}")
            worker.die()

    def rewrite(self, sql: str, params: Any) -> tuple[str, Any]:
        worker = here()
        if self.now < self.ill_until and worker and moves_a_run(sql):
            self.notes.unwritten[self.at_work[worker.name]] += 1
            self.say(f"   {worker.name} cannot write: the disk is full")
            raise OperationalError("database or disk is full")
        return self.fault.rewrite(sql, params) if self.fault else (sql, params)

    # What there is to do.

    def _write_programs(self) -> list[Program]:
        """Children first; they have none of their own."""
        author = Author(
            self.choices, kinds=self.fault.kinds if self.fault else KINDS
        )
        programs = [author.program(3)]
        author.children = (0,)
        count = self.choices.pick(ROOTS)
        programs += [author.program(6) for _ in range(count)]
        self.crowd = (
            2 + self.choices.below(3) if self.choices.chance(15) else 0
        )
        if self.crowd:
            programs.append(author.queue())
        return programs

    def _plan_jobs(self) -> list[Do]:
        jobs: list[Do] = []
        for number in range(1, len(self.programs)):
            jobs.append(partial(self._trigger, f"run-{number}", number))
            if self.choices.chance(30):  # the same once more
                jobs.append(jobs[-1])
        last = len(self.programs) - 1
        for number in range(self.crowd):
            jobs.append(partial(self._trigger, f"crowd-{number}", last))
        if self.crowd:
            jobs += self._plan_queue(self.crowd - 1)
        if self.choices.chance(10):
            jobs.append(partial(self.deploy))
        # Other faults hide behind runs that are cancelled early.
        kinds = self.fault.kinds if self.fault else KINDS
        if "saga" in kinds and self.choices.chance(30):
            number = 1 + self.choices.below(len(self.programs) - 1)
            jobs.append(partial(self._cancel, f"run-{number}"))
        return jobs + self._plan_events()

    def _plan_events(self) -> list[Do]:
        jobs: list[Do] = []
        for number in range(self.choices.below(6)):
            job = self._plan_event(f"event-{number}")
            jobs += [job] * (1 + self.choices.chance(30))
        if self.fault is None and self.choices.chance(20):
            name = self.choices.pick(("ping", "pong"))
            jobs.append(partial(self._broadcast, "news-1", name))
        return jobs + self._plan_pauses()

    def _plan_pauses(self) -> list[Do]:
        """Pause some runs, maybe twice, of those triggered from outside.

        Other faults hide behind runs that rest.
        """
        if self.fault is not None and not self.fault.is_of_pauses:
            return []
        last = len(self.programs) - 1
        pauses = self.choices.below(3)
        numbers = [1 + self.choices.below(last) for _ in range(pauses)]
        return [partial(self._pause, f"run-{number}") for number in numbers]

    def _plan_queue(self, events: int) -> list[Do]:
        queue = self.programs[-1][0]
        assert isinstance(queue, Wait)
        return [
            partial(self._send, f"queue-{n}", queue.name, match=queue.match)
            for n in range(events)
        ]

    def _plan_event(self, serial: str) -> Do:
        name = self.choices.pick(("ping", "pong"))
        key = self.choices.pick(KEYS)
        if key:
            return partial(self._send, serial, name, match=key)
        number = 1 + self.choices.below(len(self.programs) - 1)
        return partial(self._send, serial, name, run_id=f"run-{number}")

    def _overdue_at(self) -> datetime | None:
        """When the sweeper next finds something."""
        due = WorkflowRun.objects.filter(sweep_at__isnull=False)
        found = due.order_by("sweep_at").first()
        return found.sweep_at if found else None

    def say(self, line: str) -> None:
        self.trace.append(line)


@workflow(workflow_id="simulated", retry=OWN)
def simulated(ctx: WorkflowContext) -> list[Any]:
    return play_program(ctx, 1)


@workflow(workflow_id="simulated", retry=OWN, version=2, timeout=TIMEOUT)
def simulated_in_time(ctx: WorkflowContext) -> list[Any]:
    return play_program(ctx, 2)


VERSIONS = {flow.version: flow for flow in (simulated, simulated_in_time)}


def version_for(step: str) -> WorkflowWrapper:
    """Return the version of the runs that a step begins."""
    assert World.current is not None
    return VERSIONS[1 + len(step) % 2 * World.current.is_mixed]


def play_program(ctx: WorkflowContext, version: int) -> list[Any]:
    """Perform one of the programs of the world that is running."""
    world = World.current
    assert world is not None
    if ctx.version != version:
        raise Violation(
            f"{ctx.run_id} of version {ctx.version} has the code of {version}"
        )
    return perform(world.programs[ctx.data["program"]], Pass(ctx, world))


@dataclass
class Pass(Stage):
    """One pass of a run over its program, as the world watches it."""

    ctx: WorkflowContext
    world: World

    @property
    def root_id(self) -> str:
        """The run that this one is, or is a replay of."""
        return self.ctx.idempotency_key("").removesuffix(":")

    def replays(self) -> int:
        with unseen():
            run = WorkflowRun.objects.get(run_id=self.ctx.run_id)
            return len(runs_before(run))

    def between(self) -> None:
        self._boundary("between steps", atomic=False)

    def work(
        self,
        step: str,
        *,
        atomic: bool = False,
        failures: int = 0,
        error: type[BaseException] | None = None,
    ) -> str:
        self._begin(step, atomic)
        self._write(step)
        self._boundary(f"in {step}", atomic)
        if error is not None:
            raise error(f"{step} is broken")
        if self.world.notes.tried[self.ctx.run_id, step] <= failures:
            raise ConnectionError(f"{step} is not there yet")
        return f"{step} done"

    def undo(self, work: Work, result: Any) -> str:
        step = f"{work.id}~undo"
        expected = (None, f"{work.id} done")
        entry = self._entry(work.id)
        if entry is None or entry.status == "compensated":
            raise Violation(f"{self.ctx.run_id} undid {work.id} again")
        if result != expected[entry.status == "completed"]:
            raise Violation(f"{work.id} was undone with {result}")
        self._begin(step, atomic=False)
        self._write(step)
        self._boundary(f"in {step}", atomic=False)
        if work.undo_fails < 0:
            raise KeyError(f"{work.id} cannot be undone")
        if self.world.notes.tried[self.ctx.run_id, step] <= work.undo_fails:
            raise ConnectionError(f"{work.id} cannot be undone yet")
        return f"{work.id} undone"

    def poll(self, step: str, misses: int) -> str | None:
        self._begin(step, atomic=False)
        self._boundary(f"in {step}", atomic=False)
        if self.world.notes.tried[self.ctx.run_id, step] <= misses:
            return None
        return f"{step} done"

    def stumble(self, name: str, times: int) -> None:
        tried = self.world.notes.tried
        key = self.root_id, f"before {name}"
        tried[key] += 1
        if tried[key] <= times:
            raise ConnectionError(f"{name} is not there yet")

    def collapse(self, name: str) -> None:
        raise ConnectionError(f"{name} is broken")

    def sleeping(self, sleep: Sleep, fall_asleep: Do) -> None:
        reached = self._reach(sleep.id)
        fall_asleep()
        since = EPOCH if sleep.absolute else reached
        if self.world.now < since + timedelta(seconds=sleep.seconds):
            raise Violation(f"{self.ctx.run_id} ended {sleep.id} early")

    def waiting(self, wait: Wait, receive: Do) -> Any:
        reached = self._reach(wait.id)
        known = self._entry(wait.id)
        moment = self.world.notes.tick()
        try:
            return receive()
        except EventTimeout:
            if known is None or known.status not in RECORDED:
                self._judge_timeout(wait, reached, moment)
            raise

    def asking(self, ask: Ask, receive: Do) -> Any:
        return self.waiting(ask.wait, receive)

    def racing(self, race: Race, decide: Do) -> Any:
        reached = self._reach(race.id)
        known = self._entry(race.id)
        moment = self.world.notes.tick()
        won = decide()
        if won[0] == "late" and (
            known is None or known.status not in RECORDED
        ):
            for wait in race.waits:
                late = replace(wait, timeout=race.seconds)
                self._judge_timeout(late, reached, moment)
        return won

    def invoke(self, invoke: Invoke) -> Any:
        data = {"program": invoke.program}
        return self.ctx.step.invoke(invoke.id, version_for(invoke.id), data)

    def branch(self, fan_out: FanOut, number: int) -> str:
        step = self.ctx.step
        if fan_out.nap:
            self.sleeping(
                Sleep(f"nap-{self.root_id}", seconds=fan_out.nap),
                partial(step.sleep, "nap", fan_out.nap),
            )
        self.between()
        if fan_out.undo:
            undo = Compensation(self.undo_branch, retry=PATIENT)
            step = step.options(compensate=undo)
        step = step.options(retry=PATIENT, atomic=fan_out.atomic)
        step.run("work", self.work_of_branch, fan_out)
        self.between()
        if number in fan_out.broken:
            raise KeyError(f"branch {number} is broken")
        return f"{fan_out.id}[{number}] done"

    def work_of_branch(self, fan_out: FanOut) -> str:
        self._write("work")
        self._boundary("in a branch", fan_out.atomic)
        return "done"

    def undo_branch(self, result: Any) -> None:
        if result != "done":
            raise Violation(f"A branch was undone with {result}")
        self._write("work~undo")

    def spawn(self, step: str, program: int) -> str:
        self._begin(step, atomic=True)
        self._write(step)
        run_id = f"{self.root_id}/{step}"
        flow = version_for(step)
        return flow.trigger(data={"program": program}, run_id=run_id)

    def tell(self, tell: Tell) -> str:
        self._begin(tell.id, atomic=True)
        self._write(tell.id)
        serial = f"{self.root_id}/{tell.id}"
        send_event(tell.name, serial, match=tell.match)
        return serial

    def _begin(self, step: str, atomic: bool) -> None:
        """The moment in which a step that is recorded must not begin."""
        entry = self._entry(step)
        rolls_back = self._rolls_back()
        if self.world.is_exact and rolls_back != step.endswith("~undo"):
            raise Violation(
                f"{self.ctx.run_id} began {step}, rolled back: {rolls_back}"
            )
        if self.world.is_exact and not rolls_back:
            self._judge_pause(step)
        if self.world.is_exact and entry and entry.status in RECORDED:
            raise Violation(
                f"{self.ctx.run_id} began {step} again after it was recorded"
            )
        if self.world.is_exact and self._ended_before(step):
            raise Violation(
                f"{self.ctx.run_id} began {step} of {self.root_id}"
            )
        if entry and entry.wake_at and entry.wake_at > self.world.now:
            raise Violation(f"{self.ctx.run_id} tried {step} again early")
        self.world.notes.tried[self.ctx.run_id, step] += 1
        self.world.notes.begun[self.ctx.run_id, step] = self.world.now
        self.world.say(f"   {self.ctx.run_id} {step}")
        self._boundary(f"as {step} begins", atomic)

    def _boundary(self, where: str, atomic: bool) -> None:
        worker = here()
        if worker is not None:
            # SQLite has one writer: nobody can do anything in its absence.
            worker.boundary(where, not atomic or is_postgres())

    def _write(self, step: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {LEDGER} (root_id, step_id) VALUES (%s, %s)",
                [self.root_id, step],
            )

    def _reach(self, step: str) -> datetime:
        key = self.root_id, step
        return self.world.notes.reached.setdefault(key, self.world.now)

    def _entry(self, step: str) -> StepExecution | None:
        with unseen():
            return StepExecution.objects.filter(
                workflow_run__run_id=self.ctx.run_id, step_id=step
            ).first()

    def _rolls_back(self) -> bool:
        with unseen():
            return WorkflowRun.objects.filter(
                run_id=self.ctx.run_id, status="compensating"
            ).exists()

    def _judge_pause(self, step: str) -> None:
        """A worker learns of a pause when it records a step."""
        with unseen():
            asked = WorkflowRun.objects.filter(
                run_id=self.ctx.run_id, requested="pause"
            ).first()
        if asked is None:
            return
        late = self.world.notes.begun_late
        late[asked.lease_token] += 1
        if asked.status == "paused" or late[asked.lease_token] > 1:
            raise Violation(f"{self.ctx.run_id} began {step}, and is to pause")

    def _ended_before(self, step: str) -> bool:
        """Whether a run that this one replays has recorded a step.

        The one that it failed of is tried again.
        """
        if self.ctx.run_id == self.root_id:
            return False
        with unseen():
            steps = StepExecution.objects.filter(
                workflow_run__root_id=self.root_id,
                step_id=step,
                status__in=RECORDED,
            )
            return steps.exclude(error_type__in=FATALS).exists()

    def _judge_timeout(
        self, wait: Wait, reached: datetime, moment: int
    ) -> None:
        """It must not be early, and no event may have been there for it."""
        assert wait.timeout is not None
        who = f"{self.ctx.run_id} gave up {wait.id}"
        if self.world.now < reached + timedelta(seconds=wait.timeout):
            raise Violation(f"{who} early")
        told = self.world.notes.told
        with unseen():
            for event in available_to(self.ctx.run_id, wait):
                if told.get(event.event_id, moment) < moment:
                    raise Violation(f"{who}, but {event.event_id} was there")


def changed(wait: Wait | Invoke, choices: Choices) -> Program:
    """A program in place of one wait, as a deploy may bring it."""
    if isinstance(wait, Invoke):
        return ()
    kind = choices.pick(("name", "match", "gone", "nap"))
    if kind == "name":
        return (replace(wait, name="pong" if wait.name == "ping" else "ping"),)
    if kind == "match":
        return (replace(wait, match=choices.pick(KEYS)),)
    if kind == "nap":
        return (Sleep(f"{wait.id}-nap", seconds=60),)
    return ()


def available_to(run_id: str, wait: Wait) -> list[Event]:
    """Return the unconsumed events that this wait may consume."""
    return [
        event
        for event in Event.objects.filter(
            name=wait.name, consumed_at=None
        ).select_related("run")
        if (event.run and event.run.run_id == run_id)
        or (wait.match and event.match == wait.match)
    ]


def runs_before(run: WorkflowRun) -> list[WorkflowRun]:
    """The failed runs that a run goes on for, the last one first."""
    if run.origin is None:
        return []
    return [run.origin, *runs_before(run.origin)]


@contextmanager
def unseen() -> Iterator[None]:
    worker = here()
    if worker is None:
        yield
        return
    with worker.unseen():
        yield


def moves_a_run(sql: str) -> bool:
    """Whether a statement appends to a journal, or commits a verdict."""
    sql = sql.strip()
    return sql.startswith(APPEND) or (
        sql.startswith(COMMIT) and "lease_until = NULL" in sql
    )


def is_postgres() -> bool:
    return bool(connection.vendor == "postgresql")


def describe(job: Do) -> str:
    assert isinstance(job, partial)
    words = [*job.args, *job.keywords.values()]
    return f"{job.func.__name__.strip('_')} {words}"


def clear() -> None:
    """Empty every table, for the next history."""
    with transaction.atomic(), connection.cursor() as cursor:
        for table in (
            "django_hookflow_auditentry",
            "django_hookflow_event",
            "django_hookflow_question",
            "django_hookflow_stepexecution",
            "django_hookflow_deadletterentry",
            "django_hookflow_workflowrun",
            LEDGER,
        ):
            cursor.execute(f"DELETE FROM {table}")
