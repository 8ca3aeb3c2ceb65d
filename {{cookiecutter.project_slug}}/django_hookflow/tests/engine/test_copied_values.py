"""Values that are copied as the journal would return them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from django_hookflow.exceptions import SerializationError
from django_hookflow.serialization import dumps
from django_hookflow.values import call_by_value


@dataclass
class Parcel:
    number: int


def test_a_dataclass_that_lacks_a_field_is_copied_without_it() -> None:
    half = object.__new__(Parcel)

    given = call_by_value(lambda value: value, (half,), {})

    assert given is not half
    assert "number" not in vars(given)


def test_a_class_of_the_script_that_runs_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Parcel, "__module__", "__main__")

    with pytest.raises(SerializationError, match="class of the script that"):
        dumps(Parcel(1), "It")
