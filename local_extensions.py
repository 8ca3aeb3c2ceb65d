"""Refuse bad answers inside Cookiecutter, before it makes a directory.

After a failing hook, Cookiecutter prints a traceback. Here the same message
is raised as an error that Cookiecutter prints without one.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from functools import partial
from importlib.util import module_from_spec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from types import SimpleNamespace
from typing import NoReturn

from cookiecutter import generate
from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

HOOK = Path(__file__).parent / "hooks" / "pre_gen_project.py"


class RefuseBadAnswers(Extension):
    """Add the filter that the last, hidden question calls."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["refuse_bad_answers"] = refuse_bad_answers
        # Cookiecutter renders answers given on the command line.
        environment.handle_exception = refuse_broken_template  # type: ignore[method-assign]
        generate.shutil = copying_links()


def copying_links() -> SimpleNamespace:
    """Return a shutil for Cookiecutter that copies links as links.

    It would fail at one that leads nowhere, such as the Python of an old
    .venv. A link is copied as one; the hook removes it with all of .venv.
    """
    as_links = {
        "copytree": partial(shutil.copytree, symlinks=True),
        "copyfile": partial(shutil.copyfile, follow_symlinks=False),
        "copymode": partial(shutil.copymode, follow_symlinks=False),
    }
    return SimpleNamespace(**{**vars(shutil), **as_links})


def refuse_bad_answers(answers: Mapping[str, str]) -> str:
    """Raise the hook's message, or return ""."""
    sentence = hook().refusal(answers)
    if sentence:
        raise FailedHookException(sentence)
    return ""


def refuse_broken_template(source: str | None = None) -> NoReturn:
    """Turn the current error, from an answer with braces, into a message."""
    error = sys.exc_info()[1]
    if isinstance(error, FailedHookException):
        raise error
    raise FailedHookException(
        "Invalid answer: braces are template syntax, and this one cannot be "
        'rendered. Remove the braces, e.g. "Order Desk".'
    ) from error


def hook() -> ModuleType:
    """Import the pre-generation hook."""
    spec = spec_from_file_location("pre_gen_project", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
