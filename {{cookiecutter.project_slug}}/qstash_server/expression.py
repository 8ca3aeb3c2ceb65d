"""The language of `Upstash-Retry-Delay`, parsed without `eval`.

    sum     := product (("+" | "-") product)*
    product := factor (("*" | "/") factor)*
    factor  := "-" factor | number | "retried" | name "(" sum ("," sum)* ")"
             | "(" sum ")"

The service documents the functions but no other operator; `%`, `^` and the
rest are refused here (choice 14), so nothing works locally that might
not work there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from .clock import DAY

MAX_LENGTH = 256
MAX_DEPTH = 32
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|[A-Za-z_]+|[-+*/(),])", re.ASCII)

Node = Callable[[float], float]

FUNCTIONS: dict[str, tuple[int, Callable[..., float]]] = {
    "pow": (2, math.pow),
    "sqrt": (1, math.sqrt),
    "abs": (1, abs),
    "exp": (1, math.exp),
    "floor": (1, math.floor),
    "ceil": (1, math.ceil),
    "round": (1, lambda x: math.floor(x + 0.5)),
    "min": (2, min),
    "max": (2, max),
}


class ExpressionError(ValueError):
    """The text is not an expression; the message says where."""


def parse(text: str) -> Node:
    """Return a function from `retried` to the raw result."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    node = parser.sum(0)
    parser.expect_end()
    return node


def delay(text: str, retried: int) -> int:
    """Return the milliseconds to wait, limited to 0 to one day.

    `retried` is 0 before the first retry. Results that are negative or not
    finite (a division by zero, an overflow) are 0.
    """
    try:
        value = parse(text)(float(retried))
    except (ArithmeticError, ValueError):
        return 0
    return int(min(max(value, 0.0), DAY)) if math.isfinite(value) else 0


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"unexpected {text[position:].strip()[0]!r}")
        tokens.append(match[1])
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0

    def sum(self, depth: int) -> Node:
        left = self._product(depth)
        while (operator := self._take("+", "-")) is not None:
            left = _binary(operator, left, self._product(depth))
        return left

    def expect_end(self) -> None:
        if self._next < len(self._tokens):
            raise ExpressionError(f"unexpected {self._tokens[self._next]!r}")

    def _product(self, depth: int) -> Node:
        left = self._factor(depth)
        while (operator := self._take("*", "/")) is not None:
            left = _binary(operator, left, self._factor(depth))
        return left

    def _factor(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH}")
        if self._take("-"):
            return _negative(self._factor(depth + 1))
        if self._take("("):
            node = self.sum(depth + 1)
            self._expect(")")
            return node
        return self._word(depth)

    def _word(self, depth: int) -> Node:
        word = self._pop()
        if word[0].isdigit():
            return _constant(float(word))
        if word == "retried":
            return _identity
        if word in FUNCTIONS:
            return self._call(word, depth)
        raise ExpressionError(f"unexpected {word!r}")

    def _call(self, name: str, depth: int) -> Node:
        arity, function = FUNCTIONS[name]
        self._expect("(")
        arguments = [self.sum(depth + 1)]
        while self._take(","):
            arguments.append(self.sum(depth + 1))
        self._expect(")")
        if len(arguments) != arity:
            raise ExpressionError(
                f"{name} takes {arity} arguments, not {len(arguments)}"
            )
        return lambda retried: float(
            function(*[argument(retried) for argument in arguments])
        )

    def _take(self, *wanted: str) -> str | None:
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            if token in wanted:
                self._next += 1
                return token
        return None

    def _pop(self) -> str:
        if self._next >= len(self._tokens):
            raise ExpressionError("ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _expect(self, token: str) -> None:
        found = self._pop()
        if found != token:
            raise ExpressionError(f"{token!r} expected, found {found!r}")


def _binary(operator: str, left: Node, right: Node) -> Node:
    if operator == "+":
        return lambda retried: left(retried) + right(retried)
    if operator == "-":
        return lambda retried: left(retried) - right(retried)
    if operator == "*":
        return lambda retried: left(retried) * right(retried)
    return lambda retried: left(retried) / right(retried)


def _negative(node: Node) -> Node:
    return lambda retried: -node(retried)


def _constant(value: float) -> Node:
    return lambda retried: value


def _identity(retried: float) -> float:
    return retried
