"""Every random decision of a history, in one list."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Decisions from a seed, or from a script that was recorded before.

    The first of all options is the simplest one, and a script that is too
    short continues with it: so cutting a script simplifies its history.
    """

    def __init__(
        self, seed: int = 0, script: Sequence[int] | None = None
    ) -> None:
        self._random = random.Random(seed)
        self._script = script
        self.made: list[int] = []

    def below(self, limit: int) -> int:
        if self._script is None:
            choice = self._random.randrange(limit)
        elif len(self.made) < len(self._script):
            choice = self._script[len(self.made)] % limit
        else:
            choice = 0
        self.made.append(choice)
        return choice

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent
