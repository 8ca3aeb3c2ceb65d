"""docs/promises.md is that of the marks, and no promise is without a test."""

from __future__ import annotations

import promises


def test_the_page_is_that_of_the_marks() -> None:
    assert promises.page() == promises.PAGE.read_text("utf-8"), (
        "Run python tests/promises.py"
    )


def test_each_promise_has_a_test() -> None:
    assert promises.marked().keys() == promises.PROMISES.keys()
