"""Functions that stand in for those of steps, by step id."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any


class Stub:
    """Answers in the place of a step's function."""

    def __init__(
        self,
        step_id: str,
        returns: Any = None,
        raises: BaseException | type[BaseException] | None = None,
    ) -> None:
        self.step_id = step_id
        self.times = 0  # how often it was called
        self._returns = returns
        self._raises = raises

    def __call__(self, function: Callable[[], Any]) -> Any:
        self.times += 1
        if self._raises is not None:
            raise self._raises
        return copy.deepcopy(self._returns)


class Failing:
    """Fails for some attempts of a step, and then lets it be done."""

    def __init__(self, step_id: str, times: int, error: Exception) -> None:
        self.step_id = step_id
        self.times = 0  # how often it has failed
        self.left = times
        self._error = error

    def __call__(self, function: Callable[[], Any]) -> Any:
        if not self.left:
            return function()
        self.left -= 1
        self.times += 1
        raise self._error
