"""Convert values to JSON text and back, with their types; never pickle.

The types of JSON are written as they are. Others become an object with the
one key "$type", for example `{"$decimal": "9.99"}`:

    $datetime $date $time $timedelta $decimal $uuid $bytes $float $path
    $tuple $set $frozenset $dict     containers JSON lacks
    $enum $flag $dataclass $namedtuple $pydantic    by dotted path
    $model                           a reference: [label, database, key]

A subclass that adds only methods is written as its base: SafeString as str,
OrderedDict as dict.

The text is stored as text: jsonb would reorder keys and refuse NUL.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import functools
import inspect
import json
import math
import sys
import uuid
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from pathlib import PurePath
from typing import Any
from typing import TypeAlias
from zoneinfo import ZoneInfo

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils.module_loading import import_string

from django_hookflow.conf import conf
from django_hookflow.exceptions import SerializationError

# _encode has walked through the value, so it does not contain itself.
COMPACT = json.JSONEncoder(separators=(",", ":"), check_circular=False)
DECODER = json.JSONDecoder()
PLAIN = frozenset({str, int, bool, type(None)})
STRINGS = frozenset({str})
# Subclasses of these that add no state are written as their base, made by the
# base's method: str() of a SafeString is a SafeString.
BASES: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    list: list.copy,
    dict: dict.copy,
}
# Subclasses of these are written with their state, or as a reference to it.
STATEFUL: tuple[type, ...] = (enum.Enum, enum.Flag, PurePath, models.Model)
# The attribute by which the data of a REST serializer refers back to it.
DROPPED = frozenset({"serializer"})
# Module names of the running script: in another process, another script.
SCRIPTS = frozenset({"__main__", "__mp_main__"})

# The place of a value: a sentence, or the place around it, the form in which
# its key is shown, and the key. It becomes text only for an error.
Place: TypeAlias = "str | tuple[Place, str, Any]"
ITEM = "{}[{!r}]"
FIELD = "{}.{}"
KEY = "a key of {}"
RESULT = "The {} of step {!r}"

Encoder = Callable[[Any, Place], Any]
Decoder = Callable[[Any], Any]


def dumps(value: Any, where: Place) -> str:
    """Return `value` as JSON text.

    `where` begins the path in a SerializationError, for example "The result
    of step 'charge'".
    """
    try:
        text = _json(_encode(value, where), where)
    except RecursionError as error:
        raise SerializationError(
            _shown(where), "it contains itself, or is nested too deeply"
        ) from error
    if len(text) > conf.DJANGO_HOOKFLOW_MAX_VALUE_BYTES:
        raise too_long(text, where)
    return text


def too_long(text: str, where: Place) -> SerializationError:
    return SerializationError(
        _shown(where),
        f"it takes {len(text):,} bytes and "
        f"DJANGO_HOOKFLOW_MAX_VALUE_BYTES allows "
        f"{conf.DJANGO_HOOKFLOW_MAX_VALUE_BYTES:,}",
    )


def loads(text: str | None) -> Any:
    """Return the value that `dumps` wrote as `text`; None for None."""
    if text is None:
        return None
    value, _ = DECODER.raw_decode(text)
    # Every tag begins with "$"; most texts contain none.
    return _read(value) if "$" in text else value


def _read(value: Any) -> Any:
    """Return the value of tagged JSON; all errors become one class."""
    try:
        return _decode(value)
    except (SerializationError, ObjectDoesNotExist):
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise _unreadable("A recorded value", problem) from error


def _unreadable(what: str, problem: str) -> SerializationError:
    return SerializationError(what, problem, is_reading=True)


def _json(encoded: Any, where: Place) -> str:
    try:
        return COMPACT.encode(encoded)
    except ValueError as error:  # only an int can still cause one
        digits = sys.get_int_max_str_digits()
        raise SerializationError(
            _shown(where), f"an int in it has more than {digits:,} digits"
        ) from error


def is_same(one: Any, other: Any) -> bool:
    """True when two values are equal in their stored form.

    The order of dicts does not matter, also of those that JSON lacks.
    """
    return bool(_unordered(one) == _unordered(other))


def _unordered(kept: Any) -> Any:
    if isinstance(kept, list):
        return [_unordered(item) for item in kept]
    if not isinstance(kept, dict):
        return kept
    values = {key: _unordered(value) for key, value in kept.items()}
    if "$dict" in values:
        values["$dict"].sort(key=json.dumps)
    return values


def _encode(value: Any, place: Place) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return _items(value, place)
    if kind is dict:
        return _encode_dict(value, place)
    return _encode_tagged(value, place)


def _items(values: Any, place: Place) -> list[Any]:
    return [_encode(item, (place, ITEM, i)) for i, item in enumerate(values)]


def _encode_dict(value: dict[Any, Any], place: Place) -> Any:
    if STRINGS.issuperset(map(type, value)) and not _looks_tagged(value):
        if PLAIN.issuperset(map(type, value.values())):
            return value
        return {k: _encode(v, (place, ITEM, k)) for k, v in value.items()}
    return {
        "$dict": [
            [_encode(k, (place, KEY, None)), _encode(v, (place, ITEM, k))]
            for k, v in value.items()
        ]
    }


def _shown(place: Place) -> str:
    if isinstance(place, str):
        return place
    around, form, key = place
    return form.format(_shown(around), key)


def _looks_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def _encode_tagged(value: Any, place: Place) -> Any:
    for tag, fits, encode in BY_CLASS:
        if fits(type(value)):
            return {tag: encode(value, place)}
    for kind, (tag, encode) in ENCODERS.items():
        if isinstance(value, kind) and _adds_nothing(value, kind):
            return {tag: encode(value, place)}
    for kind, plain in BASES.items():
        if isinstance(value, kind) and _adds_nothing(value, kind):
            return _encode(plain(value), place)
    raise SerializationError(_shown(place), _problem(value))


def _adds_nothing(value: Any, base: type) -> bool:
    """True when an instance of a subclass has no state beside its base's."""
    kind = type(value)
    if kind is base or base in STATEFUL:
        return True
    added = kind.__mro__[: kind.__mro__.index(base)]
    return _attributes(value).keys() <= DROPPED and not any(
        vars(each).get("__slots__") or "__missing__" in vars(each)
        for each in added
    )


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an instance; none when it has only slots."""
    found: dict[str, Any] = getattr(value, "__dict__", {})
    return found


def _problem(value: Any) -> str:
    kind = type(value)
    if inspect.iscoroutine(value):
        value.close()  # else Python warns that it was never awaited
        return "it is a coroutine: call asgiref.sync.async_to_sync(fn)"
    return f"{kind.__module__}.{kind.__qualname__} is not a type of plain data"


def _decode(value: Any) -> Any:
    if type(value) is list:
        return [_decode(item) for item in value]
    if type(value) is dict:
        if _looks_tagged(value):
            ((tag, content),) = value.items()
            return DECODERS[tag](content)
        return {k: _decode(v) for k, v in value.items()}
    return value


# Types that are written with more than their tag


def _class_path(kind: type, place: Place) -> str:
    dotted = f"{kind.__module__}:{kind.__qualname__}"
    if kind.__module__ in SCRIPTS:
        raise SerializationError(
            _shown(place),
            f"{kind.__qualname__} is a class of the script that runs here, "
            "which no other process can find. Move it into a module",
        )
    if _lookup(dotted) is not kind:
        raise SerializationError(
            _shown(place), f"{dotted} cannot be found again by its name"
        )
    return dotted


def _lookup(dotted: str) -> Any:
    module, _, qualname = dotted.partition(":")
    first, *rest = qualname.split(".")
    try:
        return functools.reduce(
            getattr, rest, import_string(f"{module}.{first}")
        )
    except (ImportError, AttributeError):
        return None


def _load_class(dotted: str) -> Any:
    found = _lookup(dotted)
    if found is None:
        raise _unreadable(
            f"A recorded {dotted}", "the class has been moved or removed"
        )
    return found


def _encode_enum(value: enum.Enum, place: Place) -> Any:
    dotted = _class_path(type(value), place)
    if type(value).__members__.get(value.name) is not value:
        raise SerializationError(
            _shown(place), f"{value!r} is not a member of {dotted}"
        )
    return [dotted, value.name]


def _decode_enum(content: Any) -> enum.Enum:
    dotted, name = content
    member: enum.Enum | None = _load_class(dotted).__members__.get(name)
    if member is None:
        raise _unreadable(
            f"A recorded {dotted}.{name}",
            "the member has been renamed or removed",
        )
    return member


def _encode_flag(value: enum.Flag, place: Place) -> Any:
    """Write the value: a combination of flags has no name."""
    return [_class_path(type(value), place), value.value]


def _encode_dataclass(value: Any, place: Place) -> Any:
    kind = type(value)
    names = [field.name for field in dataclasses.fields(value)]
    if lost := _lost(value, names):
        raise SerializationError(
            _shown(place), f"{lost} of {kind.__qualname__} is not a field"
        )
    return [_class_path(kind, place), _encode_fields(value, names, place)]


def _encode_fields(value: Any, names: Iterable[str], place: Place) -> Any:
    missing = [name for name in names if not hasattr(value, name)]
    if missing:
        raise SerializationError(
            _shown(place), f"its field {missing[0]!r} has no value"
        )
    return {
        name: _encode(getattr(value, name), (place, FIELD, name))
        for name in names
    }


def _lost(value: Any, names: Collection[str]) -> str:
    """Name the state of a dataclass beside its fields; "" for none.

    Values of cached properties do not count: they are computed again.
    """
    kind = type(value)
    for base in BASES:
        if isinstance(value, base):
            return f"the {base.__name__}"
    for name in _attributes(value):
        cached = getattr(kind, name, None)
        if name not in names and not hasattr(cached, "__get__"):
            return f"the attribute {name!r}"
    return ""


def _decode_dataclass(content: Any) -> Any:
    """Make it as copy does, without __init__, to restore all fields.

    A field that the class no longer has is left out; a new one gets its
    default.
    """
    dotted, recorded = content
    kind = _load_class(dotted)
    made = object.__new__(kind)
    for field in dataclasses.fields(kind):
        if field.name in recorded:
            value = _decode(recorded[field.name])
        else:
            value = _default(field, dotted)
        object.__setattr__(made, field.name, value)
    return made


def _default(field: dataclasses.Field[Any], dotted: str) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise _unreadable(
        f"A recorded {dotted}",
        f"it was recorded without the field {field.name!r}, which has no "
        "default",
    )


def _encode_namedtuple(value: Any, place: Place) -> Any:
    names = type(value)._fields
    fields = _encode_fields(value, names, place)
    return [_class_path(type(value), place), fields]


def _decode_namedtuple(content: Any) -> Any:
    """Make it by the names of its fields, as a dataclass."""
    dotted, recorded = content
    kind = _load_class(dotted)
    kept = {k: _decode(v) for k, v in recorded.items() if k in kind._fields}
    made = {**kind._field_defaults, **kept}
    for name in kind._fields:
        if name not in made:
            raise _unreadable(
                f"A recorded {dotted}",
                f"it was recorded without the field {name!r}, which has no "
                "default",
            )
    return kind._make(made[name] for name in kind._fields)


def _encode_pydantic(value: Any, place: Place) -> Any:
    """Compare values: a dump hides secrets, and fields of subclasses."""
    dotted = _class_path(type(value), place)
    try:
        fields = _dump(value)
        is_same = _decode_pydantic([dotted, fields]) == value
    except (ValueError, SerializationError):
        is_same = False
    if not is_same:
        raise SerializationError(
            _shown(place),
            f"{dotted} does not come back equal from its own JSON (a secret, "
            "or a subclass in a field of its base?)",
        )
    return [dotted, fields]


def _dump(value: Any) -> Any:
    return value.model_dump(mode="json", round_trip=True)


def _decode_pydantic(content: Any) -> Any:
    """Make it by the names of its fields, not by their aliases."""
    dotted, fields = content
    kind = _load_class(dotted)
    try:
        return kind.model_validate(fields, strict=False, **_by_name(kind))
    except ValueError as error:
        # Its text would show the values.
        raise _unreadable(
            f"A recorded {dotted}", "its fields are not valid any more"
        ) from error


@functools.cache
def _by_name(kind: Any) -> dict[str, bool]:
    """Return the argument for validation by name, which Pydantic 2.11 added.

    Before, a model with aliases needs `populate_by_name`, or the write fails.
    """
    known = inspect.signature(kind.model_validate).parameters
    return {"by_name": True} if "by_name" in known else {}


def _encode_model(value: models.Model, place: Place) -> Any:
    if value.pk is None or value._state.adding:
        raise SerializationError(
            _shown(place),
            f"{value._meta.label} is not saved, so it has no key",
        )
    key = _encode(value.pk, (place, FIELD, "pk"))
    return [value._meta.label_lower, value._state.db or "default", key]


def _decode_model(content: Any) -> models.Model:
    """Return the row as it is now; DoesNotExist if it was deleted."""
    label, database, key = content
    manager = apps.get_model(label)._base_manager.using(database)
    row: models.Model = manager.get(pk=_decode(key))
    return row


def _pairs(content: Any) -> dict[Any, Any]:
    return {_decode(key): _decode(value) for key, value in content}


def _sorted_items(values: Any, place: Place) -> list[Any]:
    """Sort the items of a set, so that equal sets are equal text."""
    return sorted(_items(values, place), key=json.dumps)


def _text(value: Any, place: Place) -> str:
    return str(value)


def _isoformat(value: Any, place: Place) -> str:
    return str(value.isoformat())


def _encode_time(value: dt.datetime | dt.time, place: Place) -> Any:
    """Write ISO text, with the zone's key and the fold, which ISO lacks.

    A zone is more than its offset, which may be another one a day later.
    """
    key = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    text = value.isoformat()
    return [text, key, value.fold] if key or value.fold else text


def _time_decoder(kind: Any) -> Decoder:
    def decode(content: Any) -> Any:
        if isinstance(content, str):
            return kind.fromisoformat(content)
        text, key, fold = content
        value = kind.fromisoformat(text).replace(fold=fold)
        return value.replace(tzinfo=ZoneInfo(key)) if key else value

    return decode


def _base64(value: bytes, place: Place) -> str:
    return base64.b64encode(value).decode()


def _microseconds(value: dt.timedelta, place: Place) -> int:
    return value // dt.timedelta(microseconds=1)


def _is_namedtuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _is_dataclass(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) and not issubclass(kind, enum.Enum)


def _is_pydantic(kind: type) -> bool:
    return hasattr(kind, "model_validate")


# Types that are found again by the name of their class.
BY_CLASS: list[tuple[str, Callable[[type], bool], Encoder]] = [
    ("$namedtuple", _is_namedtuple, _encode_namedtuple),
    ("$dataclass", _is_dataclass, _encode_dataclass),
    ("$pydantic", _is_pydantic, _encode_pydantic),
]

# Tried in this order: a datetime is a date, a flag is an enum.
ENCODERS: dict[type, tuple[str, Encoder]] = {
    enum.Flag: ("$flag", _encode_flag),
    enum.Enum: ("$enum", _encode_enum),
    dt.datetime: ("$datetime", _encode_time),
    dt.date: ("$date", _isoformat),
    dt.time: ("$time", _encode_time),
    dt.timedelta: ("$timedelta", _microseconds),
    Decimal: ("$decimal", _text),
    uuid.UUID: ("$uuid", _text),
    bytes: ("$bytes", _base64),
    tuple: ("$tuple", _items),
    frozenset: ("$frozenset", _sorted_items),
    set: ("$set", _sorted_items),
    PurePath: ("$path", _text),
    models.Model: ("$model", _encode_model),
}

DECODERS: dict[str, Decoder] = {
    "$enum": _decode_enum,
    "$flag": lambda content: _load_class(content[0])(content[1]),
    "$datetime": _time_decoder(dt.datetime),
    "$date": dt.date.fromisoformat,
    "$time": _time_decoder(dt.time),
    "$timedelta": lambda content: dt.timedelta(microseconds=content),
    "$decimal": Decimal,
    "$uuid": uuid.UUID,
    "$bytes": base64.b64decode,
    "$float": float,
    "$tuple": lambda content: tuple(map(_decode, content)),
    "$frozenset": lambda content: frozenset(map(_decode, content)),
    "$set": lambda content: set(map(_decode, content)),
    "$dict": _pairs,
    "$path": Path,
    "$dataclass": _decode_dataclass,
    "$namedtuple": _decode_namedtuple,
    "$pydantic": _decode_pydantic,
    "$model": _decode_model,
}
