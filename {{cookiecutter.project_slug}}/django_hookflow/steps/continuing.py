"""`ctx.continue_as_new`: the end of a run, which goes on as another."""

from __future__ import annotations

import json
from typing import NoReturn

from django_hookflow.exceptions import MisusedStep
from django_hookflow.exceptions import StepCompleted
from django_hookflow.journal import CONTINUED_AS
from django_hookflow.outcomes import Continued
from django_hookflow.outcomes import Returned
from django_hookflow.steps.session import Session
from django_hookflow.steps.session import enclosed

NAME = "ctx.continue_as_new"


def go_on(session: Session, continued: Continued) -> NoReturn:
    """End the delivery with it, where the run may end."""
    session.enter(NAME)
    if session.path:
        raise MisusedStep(
            session.path[-1].step_id,
            "has a branch that was to continue as new",
            "Do that in the workflow function itself, or in a workflow of "
            "its own, by ctx.step.invoke.",
        )
    if session.started:
        raise session.left_open
    if session.recorder.is_enclosed:
        raise enclosed(NAME)
    to_undo = session.journal.to_undo()
    if to_undo and not session.rolls_back:
        raise MisusedStep(
            to_undo[0].step_id,
            "is undone if the run fails, and the run was to continue as new",
            "The new run could not undo it. Do the work of such steps in a "
            "workflow of its own, by ctx.step.invoke.",
        )
    result = json.dumps({CONTINUED_AS: continued.run_id})
    session.waiting = Returned(result, continued)
    session.suspend(StepCompleted())
