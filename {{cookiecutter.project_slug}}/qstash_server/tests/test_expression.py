"""The language of retry delays."""

from __future__ import annotations

import pytest

from qstash_server.clock import DAY
from qstash_server.expression import ExpressionError
from qstash_server.expression import delay
from qstash_server.expression import parse


@pytest.mark.parametrize(
    ("text", "retried", "milliseconds"),
    [
        ("1000", 0, 1000),
        ("1000 * (1 + retried)", 2, 3000),
        ("pow(2, retried) * 1000", 3, 8000),
        ("max(1000, pow(2, retried) * 100)", 0, 1000),
        ("min(1000, 10)", 0, 10),
        ("7 - 2 - 1", 0, 4),
        ("8 / 4 / 2", 0, 1),
        ("2 + 3 * 4", 0, 14),
        ("-5 + 12", 0, 7),
        ("- -5", 0, 5),
        ("1.5 * 2 ", 0, 3),
        ("sqrt(16) + abs(0 - 1)", 0, 5),
        ("floor(1.9) + ceil(1.1) + round(2.5)", 0, 6),
        ("exp(0)", 0, 1),
        ("1 / 0", 0, 0),
        ("0 - 1", 0, 0),
        ("sqrt(0 - 1)", 0, 0),
        ("pow(10, 1000)", 0, 0),
        ("exp(700) * exp(700)", 0, 0),
        ("pow(10, 20)", 0, DAY),
    ],
)
def test_delay_is_the_value_within_its_bounds(
    text: str, retried: int, milliseconds: int
) -> None:
    assert delay(text, retried) == milliseconds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "ends too early"),
        ("1 +", "ends too early"),
        ("2 % 3", "unexpected '%'"),
        ("2 ^ 3", "unexpected '^'"),
        ("retries", "unexpected 'retries'"),
        ("import('os')", 'unexpected "\'"'),
        ("1 2", "unexpected '2'"),
        ("(1", "ends too early"),
        ("(1 2", "')' expected, found '2'"),
        ("pow(2)", "pow takes 2 arguments, not 1"),
        ("sqrt 4", "'(' expected, found '4'"),
        ("*", "unexpected '*'"),
        ("(" * 40 + "1" + ")" * 40, "nested deeper than 32"),
        ("-" * 40 + "1", "nested deeper than 32"),
        ("1" * 257, "longer than 256 characters"),
    ],
)
def test_anything_else_is_refused_with_the_place(
    text: str, complaint: str
) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse(text)

    assert str(refused.value) == complaint
