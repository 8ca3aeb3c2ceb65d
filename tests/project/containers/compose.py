"""Compose files as Docker reads them, as far as ours go.

https://compose-spec.io (2026-11): interpolation, and how a second file is
laid over the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from config.environment import BASE_DIR as PROJECT

BASE = PROJECT / "compose.yaml"
PRODUCTION = PROJECT / "compose.production.yaml"

# What the owner of a server sets in .env, beside what `make .env` has made.
SERVER = {
    "COMPOSE_PROFILES": "",
    "DJANGO_ALLOWED_HOSTS": "shop.example.com",
    "DJANGO_EMAIL_URL": "console:",
    "DJANGO_HOOKFLOW_DOMAIN": "https://shop.example.com",
    "PAYMENTS_URL": "https://shop.example.com/sandbox",
    "QSTASH_URL": "https://qstash.upstash.io",
}

# ${NAME}, ${NAME:-default}, ${NAME:?what to do}
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")

Services = dict[str, dict[str, Any]]


class MissingVariable(Exception):
    """A file asks for a variable by `:?` that is not set."""


def services(variables: Mapping[str, str], *files: Path) -> Services:
    """Return the services of merged `files`, for these variables."""
    merged: Services = {}
    for file in files:
        found = interpolated(load(file), variables)["services"]
        for name, service in found.items():
            merged[name] = laid_over(merged.get(name, {}), service)
    return merged


def load(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")))


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """Return `value` with the variables in each of its texts."""
    match value:
        case dict():
            return {k: interpolated(v, variables) for k, v in value.items()}
        case list():
            return [interpolated(item, variables) for item in value]
        case str():
            return VARIABLE.sub(lambda found: chosen(found, variables), value)
    return value


def chosen(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, sign, rest = found.groups()
    value = variables.get(name, "")
    if value or sign is None:
        return value
    if sign == ":?":
        raise MissingVariable(f"{name}: {rest}")
    return str(rest)


def laid_over(below: Any, above: Any) -> Any:
    """Mappings are merged, lists are added, all else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {k: laid_over(below.get(k), above[k]) for k in above}
    if isinstance(below, list) and isinstance(above, list):
        return below + above
    return above


def variables_in(file: Path) -> set[str]:
    """Return the names a file interpolates, and those it sets for the site."""
    asked = {match[1] for text in texts(load(file)) for match in names(text)}
    given = {
        name
        for service in load(file)["services"].values()
        if is_ours(service)
        for name in service.get("environment", {})
    }
    return asked | given


def names(text: str) -> Iterator[re.Match[str]]:
    return VARIABLE.finditer(text)


def texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for item in value.values():
                yield from texts(item)
        case list():
            for item in value:
                yield from texts(item)
        case str():
            yield value


def is_ours(service: Mapping[str, Any]) -> bool:
    """Return True if it runs our image, and not one that others made."""
    return "build" in service
