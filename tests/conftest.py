"""The template as others get it, and projects baked from it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clean_copy import clean_copy
from owner import Owner

Bake = Callable[..., Path]

# What a shell has started in the background ignores Ctrl-C, and so would the
# processes that the tests start, and stop by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the repository without what git does not know."""
    return clean_copy(tmp_path_factory.mktemp("template"))


@pytest.fixture
def bake(cookies: Any, template: Path) -> Bake:
    """Bakes with the given answers; the project's directory."""

    def with_answers(**answers: str) -> Path:
        result = cookies.bake(answers, template=str(template))
        if result.exception:
            raise result.exception
        return Path(result.project_path)

    return with_answers


@pytest.fixture
def owner(bake: Bake) -> Owner:
    """Return the owner of a project with the default answers, committed."""
    return Owner(bake())
