"""`@step(…)`: options that a function has wherever it is a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import TypeVar
from typing import Unpack

from django_hookflow.exceptions import MisusedStep
from django_hookflow.steps.options import DECLARED
from django_hookflow.steps.options import Given
from django_hookflow.steps.options import Options

F = TypeVar("F", bound=Callable[..., Any])


def step(**given: Unpack[Given]) -> Callable[[F], F]:
    """Declare the options of a function: `@step(timeout="30s")`.

    They hold where it is given to ctx.step.run or to ctx.step(…); options
    given there win. Raises MisusedStep, with the function's name, for
    options that make no sense.
    """
    options = Options(**given)

    def declare(function: F) -> F:
        if problem := options.problem():
            raise MisusedStep(function.__name__, *problem)
        vars(function)[DECLARED] = options
        return function

    return declare
