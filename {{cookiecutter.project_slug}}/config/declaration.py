"""The form in which a variable is declared, and the groups of variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

Default = str | bool | int | float | tuple[str, ...]

LOCAL = "local"  # config.settings.local
PRODUCTION = "production"  # config.settings.production
EVERYWHERE = (LOCAL, PRODUCTION)
NOWHERE: tuple[str, ...] = ()

# The host of every example; a bake puts the public domain in its place.
HOST = "shop.example.com"

# The types of values, and their description in the documentation.
KINDS = {
    "text": "text",
    "flag": "True or False",
    "whole": "whole number",
    "number": "number",
    "list": "comma-separated list",
    "rate": "such as `20/minute`, or `off`",
    "database": "URL of a database",
    "mail": "URL of a mail server",
}


@dataclass(frozen=True, kw_only=True)
class Variable:
    """An environment variable: its purpose, type and default.

    An empty value counts as not set.
    """

    name: str
    group: str
    help: str  # one sentence, or two
    kind: str = "text"
    default: Default = ""
    # Other defaults, by module of config.settings.
    defaults: Mapping[str, Default] = field(default_factory=dict)
    read_in: tuple[str, ...] = EVERYWHERE
    # The file that reads it, if not the settings.
    reader: str = ""
    # The settings modules that refuse to start without it.
    needed: tuple[str, ...] = NOWHERE
    secret: bool = False
    # An example; .env.example has it commented out.
    example: str = ""
    # The value in a new .env; "" is replaced by a generated secret.
    fresh: str | None = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    def default_in(self, module: str) -> Default:
        return self.defaults.get(module, self.default)


DJANGO = "Django"
DATA = "Database and mail"
SECURITY = "Security"
WORKFLOWS = "Durable workflows"
WATCH = "Observability"
SHOP = "The shop and its payments"  # sample
TEMPORAL = "Temporal"  # temporal
PROCESS = "The process"
CONTAINERS = "Containers and the tunnel"

# Below each group's title in .env.example and in the documentation.
GROUPS = {
    DJANGO: "",
    DATA: "",
    SECURITY: "",
    WORKFLOWS: "Copy the four QSTASH_ values from the QStash console."
    " The embedded server accepts any values."  # qstash-server
    "",
    WATCH: "See docs/observability.md.",
    SHOP: "",  # sample
    TEMPORAL: "See docs/temporal.md.",  # temporal
    PROCESS: "Read before the settings, or by the process that starts the "
    "site. DJANGO_SETTINGS_MODULE and DJANGO_ENV_FILE have no effect in a "
    ".env file: they choose the settings and the file.",
    CONTAINERS: "Read by docker compose, ngrok and Caddy.",
}
