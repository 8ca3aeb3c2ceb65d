"""Finds code of workflow functions that belongs into their steps.

A line that ends with `# hookflow: ok` is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from django_hookflow.inspection.program import Block
from django_hookflow.inspection.program import Branch
from django_hookflow.inspection.program import CallUse
from django_hookflow.inspection.program import Handler
from django_hookflow.inspection.program import Item
from django_hookflow.inspection.program import Jump
from django_hookflow.inspection.program import Loop
from django_hookflow.inspection.program import Place
from django_hookflow.inspection.program import StepUse
from django_hookflow.inspection.program import Try
from django_hookflow.inspection.program import blocks_of
from django_hookflow.inspection.reader import program_of
from django_hookflow.inspection.source import read_file
from django_hookflow.workflows.wrapper import WorkflowWrapper

ACCEPTED = re.compile(r"#\s*hookflow:\s*ok\b")


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of call that belongs into a step."""

    id: str
    calls: re.Pattern[str]  # matches the whole name of a call
    does: str  # what such a call does
    cure: str


@dataclass(frozen=True, slots=True)
class Mistake:
    id: str
    place: Place
    problem: str  # a sentence that begins with the name of the workflow
    cure: str


# These convert their argument, and read the clock only without one.
CONVERSIONS = re.compile(
    r"django\.utils\.timezone\.(localdate|localtime)"
    r"|time\.(localtime|gmtime|ctime)"
)
IN_A_STEP = 'Call it in a step: ctx.step.run("id", function).'

WRITE = "django_hookflow.W103"
READ = "django_hookflow.W104"

# A name ends with "()" where it is what a call returned.
RULES = (
    Rule(
        "django_hookflow.W101",
        re.compile(
            r"datetime\.(datetime\.(now|utcnow|today)|date\.today)"
            r"|django\.utils\.timezone\.(now|localdate|localtime)"
            r"|time\.(time|time_ns|localtime|gmtime|ctime|monotonic"
            r"|monotonic_ns|perf_counter|perf_counter_ns)"
        ),
        "reads the clock",
        "Use ctx.now(), which is the same at every replay.",
    ),
    Rule(
        "django_hookflow.W102",
        re.compile(
            r"random\.(?!Random\Z)[\w.]+|secrets\.(?!compare_digest)\w+|uuid\.uuid[14]"
            r"|os\.urandom|django\.utils\.crypto\.get_random_\w+"
        ),
        "asks for a random value",
        "Use ctx.random() or ctx.uuid4(), which are the same at every replay, "
        "or make a secret in a step.",
    ),
    Rule(
        WRITE,
        re.compile(
            r".*\.(bulk_create|bulk_update|get_or_create|update_or_create)"
            r"|.*\.(objects|_default_manager|_base_manager)\b.*"
            r"\.(create|update|delete|save)"
            r"|[^(]*\.save|.*[a-z_]\.models\.\w+\(\)\.(save|delete)"
        ),
        "writes to the database",
        'Write in a step: ctx.step.options(atomic=True).run("id", function).',
    ),
    Rule(
        READ,
        re.compile(
            r".*\.(objects|_default_manager|_base_manager)\.(?!none\b).+"
            r"|.*\.refresh_from_db|django\.shortcuts\.get_\w+_or_404"
        ),
        "reads rows",
        'Read in a step: ctx.step.run("id", function).',
    ),
    Rule(
        "django_hookflow.W105",
        re.compile(
            r"(requests|httpx)\.(\w+\.)*(get|post|put|patch|delete|head"
            r"|options|request|stream|[cC]lient|AsyncClient|[sS]ession)"
            r"|urllib\.request\.(urlopen|urlretrieve)|http\.client\.HTTPS?Connection"
            r"|socket\.(socket|create_connection|getaddrinfo)"
            r"|boto3(\.\w+)*\.(client|resource)|smtplib\.SMTP(_SSL)?"
        ),
        "uses the network",
        'Use ctx.step.call("id", url), or ctx.step.run("id", function).',
    ),
    Rule(
        "django_hookflow.W106",
        re.compile(
            r"django\.core\.mail(\.\w+)*\.(send_mail|send_mass_mail"
            r"|mail_admins|mail_managers|\w+\(\)\.send)|.*\.email_user"
        ),
        "sends mail",
        IN_A_STEP,
    ),
    Rule(
        "django_hookflow.W107",
        re.compile(r"time\.sleep"),
        "sleeps, and keeps a worker busy",
        'Use ctx.step.sleep("id", "5m"), which needs no worker.',
    ),
    Rule(
        "django_hookflow.W111",
        re.compile(
            r"django_hookflow\.operations\.events\.send_event"
            r"|.*\.get_workflow\(\)\.trigger|<workflow>\.trigger"
        ),
        "sends an event or starts a run",
        "Use ctx.start_workflow, or send the event in a step with "
        "event_id=ctx.idempotency_key(...).",
    ),
)


def mistakes_in(workflow: WorkflowWrapper) -> list[Mistake]:
    """Return the mistakes in a workflow, in the order of its source.

    Empty where it has no source to read.
    """
    program = program_of(workflow)
    if program is None:
        return []
    name = f"Workflow {workflow.workflow_id!r}"
    found = [
        *(one for use in _all(program) for one in _of(use, name)),
        *_Paths(name).mistakes(program),
    ]
    unique = {(one.id, one.place): one for one in reversed(found)}
    writes = {place for check, place in unique if check == WRITE}
    return sorted(
        (
            one
            for one in unique.values()
            if not _is_accepted(one.place)
            and not (one.id == READ and one.place in writes)
        ),
        key=lambda one: (one.place.path, one.place.line, one.id),
    )


def _is_accepted(place: Place) -> bool:
    file = read_file(place.path)
    return bool(file and ACCEPTED.search(file.lines[place.line - 1]))


def _all(block: Block) -> Iterator[Item]:
    for item in block.items:
        yield item
        for inner in blocks_of(item):
            yield from _all(inner)


def _of(item: Item, name: str) -> Iterator[Mistake]:
    match item:
        case CallUse():
            yield from _of_call(item, name)
        case StepUse():
            yield from _of_undo(item, name)
        case Try(body, handlers) if body.has_steps():
            yield from _of_handlers(handlers, name)


def _of_call(call: CallUse, name: str) -> Iterator[Mistake]:
    if call.has_arguments and CONVERSIONS.fullmatch(call.name):
        return
    for rule in RULES:
        if rule.calls.fullmatch(call.name):
            problem = (
                f"{name} {rule.does} with {call.text}() outside of its "
                "steps, in code that is executed again at each delivery."
            )
            yield Mistake(rule.id, call.place, problem, rule.cure)
            return


def _of_undo(step: StepUse, name: str) -> Iterator[Mistake]:
    if step.may_be_unknown and step.undo and not step.undo.has_when:
        yield Mistake(
            "django_hookflow.W110",
            step.place,
            f"{name} undoes step {step.step_id!r} by {step.undo.label} only "
            "if it completed, but it may have had its effect when it was "
            "interrupted or reached its timeout.",
            f"Write compensate=Compensation({step.undo.label}, "
            'when="attempted"), which calls it with None then, or '
            'when="completed" if that is meant.',
        )


def _of_handlers(handlers: Iterable[Handler], name: str) -> Iterator[Mistake]:
    for handler in handlers:
        if handler.catches_all and not handler.raises:
            caught = handler.label or "all with a bare except"
            yield Mistake(
                "django_hookflow.W109",
                handler.place,
                f"{name} catches {caught} around a step, and with it the "
                "signals by which the engine ends a delivery.",
                "Catch Exception, or WorkflowError for a failed step.",
            )


# The arms of branches in which something is executed.
Arms = tuple[tuple[int, str], ...]
Seen = dict[str, tuple[Arms, Place]]


@dataclass(slots=True)
class _Paths:
    """Finds ids that two steps of one path have."""

    name: str
    found: list[Mistake] = field(default_factory=list)
    continued: list[Seen] = field(default_factory=list)
    left: list[Seen] = field(default_factory=list)
    entry: Arms = ()  # of the loop, or the function, that it is in

    def mistakes(self, program: Block) -> list[Mistake]:
        self.block(program, {}, ())
        return self.found

    def block(self, block: Block, seen: Seen, arms: Arms) -> Seen | None:
        """Return the ids used behind a block; None where no path gets."""
        for item in block.items:
            after = self.item(item, seen, arms)
            if after is None:
                return None
            seen = after
        return seen

    def item(self, item: Item, seen: Seen, arms: Arms) -> Seen | None:
        match item:
            case StepUse():
                return self.step(item, seen, arms)
            case Jump():
                self.jump(item, seen)
                return None
            case Loop():
                return self.loop(item, seen, arms)
            case Try():
                return self.attempt(item, seen, arms)
            case Branch():
                blocks = [block for _, block in item.cases]
                return self.either(id(item), blocks, seen, arms)
            case _:
                return self.called(blocks_of(item), seen, arms)

    def step(self, step: StepUse, seen: Seen, arms: Arms) -> Seen:
        for _, block in step.branches:
            _Paths(self.name, self.found).block(block, {}, ())
        if not step.is_literal:
            return seen
        earlier = seen.get(step.step_id)
        if earlier and self.is_sure(earlier, step, arms):
            self.report(step, earlier[1])
        return {**seen, step.step_id: (arms, step.place)}

    def is_sure(
        self, earlier: tuple[Arms, Place], step: StepUse, arms: Arms
    ) -> bool:
        """True if some path has both uses of an id.

        In a loop, an `if` may let one round of it come to the step.
        """
        first, place = earlier
        is_another = place != step.place or arms == self.entry
        return is_another and _on_one_path(first, arms)

    def report(self, step: StepUse, earlier: Place) -> None:
        first = f"line {earlier.line}"
        if earlier == step.place:
            first = "this line, in a loop or in a function called twice"
        self.found.append(
            Mistake(
                "django_hookflow.W108",
                step.place,
                f"{self.name} uses the step id {step.step_id!r} twice on one "
                f"path; the first is {first}.",
                "Give each step an id of its own; in a loop, one with the "
                'item: f"ship-{parcel_id}".',
            )
        )

    def jump(self, jump: Jump, seen: Seen) -> None:
        if jump.kind == "continue":
            self.continued.append(seen)
        if jump.kind == "break":
            self.left.append(seen)

    def called(self, blocks: list[Block], seen: Seen, arms: Arms) -> Seen:
        """Follow a function; whatever its returns, its caller goes on."""
        after: Seen | None = seen
        outer, self.entry = self.entry, arms
        for block in blocks:
            after = self.block(block, seen, arms)
        self.entry = outer
        return seen if after is None else after

    def either(
        self, branch: int, blocks: list[Block], seen: Seen, arms: Arms
    ) -> Seen | None:
        ends = [
            self.block(block, seen, (*arms, (branch, str(number))))
            for number, block in enumerate(blocks)
        ]
        return _joined(ends)

    def attempt(self, item: Try, seen: Seen, arms: Arms) -> Seen | None:
        handlers = [handler.body for handler in item.handlers]
        blocks = [item.body, *handlers]
        after = self.either(id(item), blocks, seen, arms)
        return (
            None if after is None else self.block(item.finally_, after, arms)
        )

    def loop(self, item: Loop, seen: Seen, arms: Arms) -> Seen | None:
        """Go through the body twice; the second time shows what is twice."""
        outer = self.continued, self.left, self.entry
        self.continued, self.left, self.entry = [], [], arms
        once = self.round(item, seen, arms)
        self.continued = []
        if once is not None:
            self.round(item, once, arms)
        ends = [*self.left, None if item.is_endless else once or seen]
        self.continued, self.left, self.entry = outer
        return _joined(ends)

    def round(self, item: Loop, seen: Seen, arms: Arms) -> Seen | None:
        after = self.block(item.body, seen, arms)
        return _joined([after, *self.continued])


def _on_one_path(first: Arms, second: Arms) -> bool:
    """True if some path is sure to have both: one is in all arms of the other.

    `if a: …` and later `if not a: …` may exclude each other.
    """
    shorter, longer = sorted((first, second), key=len)
    return longer[: len(shorter)] == shorter


def _joined(ends: Iterable[Seen | None]) -> Seen | None:
    reached = [end for end in ends if end is not None]
    if not reached:
        return None
    joined: Seen = {}
    for end in reached:
        for step_id, use in end.items():
            known = joined.setdefault(step_id, use)
            joined[step_id] = min(known, use, key=lambda one: len(one[0]))
    return joined
