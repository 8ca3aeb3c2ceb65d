"""Every environment variable of the project, declared once.

The settings read a variable through `config.environment.variable`, which
knows only what is declared here; `make docs` writes .env.example and
docs/configuration.md from it. Nothing but the standard library is imported,
so that a script may read the list before anything is installed.
"""

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

# What a variable holds, and how the document says it.
KINDS = {
    "text": "text",
    "flag": "True or False",
    "whole": "whole number",
    "number": "number",
    "list": "texts with commas between them",
    "rate": "such as `20/minute`, or `off`",
    "database": "URL of a database",
    "mail": "URL of a mail server",
}


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What a variable is for, and what it is when it is not set.

    One that is set and empty counts as not set.
    """

    name: str
    group: str
    help: str  # one sentence, or two
    kind: str = "text"
    default: Default = ""
    # Other defaults, by the module of config.settings that has them.
    defaults: Mapping[str, Default] = field(default_factory=dict)
    read_in: tuple[str, ...] = EVERYWHERE
    # The file that reads it when the settings do not.
    reader: str = ""
    # Where the site does not start without it.
    needed: tuple[str, ...] = NOWHERE
    secret: bool = False
    # A value to look at; .env.example has it behind a "#".
    example: str = ""
    # The value of a fresh .env; "" there is a secret to be filled in.
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
SHOP = "The shop and its payments"
PROCESS = "The process"
CONTAINERS = "Containers and the tunnel"

# Under each group's title in .env.example and in the document.
GROUPS = {
    DJANGO: "",
    DATA: "",
    SECURITY: "",
    WORKFLOWS: "The four values that begin with QSTASH_ stand on the console "
    "of QStash; on a laptop the embedded server takes any.",
    WATCH: "docs/observability.md says what comes of them.",
    SHOP: "",
    PROCESS: "Read before the settings, or by what starts the site. In a "
    "file only DJANGO_SETTINGS_MODULE and DJANGO_ENV_FILE have no effect: "
    "they say which settings, and which file.",
    CONTAINERS: "Read by docker compose, ngrok and Caddy.",
}

DECLARED = (
    # --- Django ---
    Variable(
        name="DJANGO_SECRET_KEY",
        group=DJANGO,
        help="Signs sessions and tokens: a long random text, another one in "
        "each place.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="DJANGO_DEBUG",
        group=DJANGO,
        help="Shows errors in the browser.",
        kind="flag",
        default=True,
        read_in=(LOCAL,),
    ),
    Variable(
        name="DJANGO_LOG_LEVEL",
        group=DJANGO,
        help="How much is logged.",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    ),
    Variable(
        name="DJANGO_ALLOWED_HOSTS",
        group=DJANGO,
        help="The names under which the site is asked for. On a laptop "
        "loopback names and the host of DJANGO_HOOKFLOW_DOMAIN are known "
        "already.",
        kind="list",
        default=(),
        needed=(PRODUCTION,),
        example=HOST,
    ),
    Variable(
        name="DJANGO_CSRF_TRUSTED_ORIGINS",
        group=DJANGO,
        help="Other origins whose forms are trusted, with their scheme.",
        kind="list",
        default=(),
        example=f"https://{HOST}",
    ),
    # --- Database and mail ---
    Variable(
        name="DATABASE_URL",
        group=DATA,
        help="PostgreSQL, or SQLite: the path of a file, from the directory "
        "of manage.py unless it begins with a fourth slash.",
        kind="database",
        default="sqlite:///db.sqlite3",
        needed=(PRODUCTION,),
        secret=True,
        example="postgres://user:password@127.0.0.1:5432/database",
    ),
    Variable(
        name="DJANGO_CONN_MAX_AGE",
        group=DATA,
        help="Seconds a connection to the database is kept; 0 is for one "
        "request.",
        kind="whole",
        default=60,
        least=0,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_DB_POOL",
        group=DATA,
        help="Connections to PostgreSQL that the threads of a process share, "
        "at most; 0 gives each thread its own. Take two more than "
        "WEB_THREADS: for the leases of long steps, and for /readyz.",
        kind="whole",
        default=0,
        least=0,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_ALLOW_SQLITE",
        group=DATA,
        help="Lets a site with DEBUG off run on SQLite: one process on one "
        "machine, whose disk is kept.",
        kind="flag",
        default=False,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_EMAIL_URL",
        group=DATA,
        help="Where mail goes, beginning with submission://, smtp://, file: "
        "or console:; on a laptop it is printed.",
        kind="mail",
        default="console:",
        needed=(PRODUCTION,),
        secret=True,
        example=f"submission://user:password@mail.{HOST}:587",
    ),
    Variable(
        name="DJANGO_FROM_EMAIL",
        group=DATA,
        help="Who mail is from.",
        default="orders@localhost",
        example=f"orders@{HOST}",
    ),
    # --- Security ---
    Variable(
        name="DJANGO_SECURE_SSL_REDIRECT",
        group=SECURITY,
        help="Sends http to https.",
        kind="flag",
        default=True,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_SECURE_HSTS_SECONDS",
        group=SECURITY,
        help="For how many seconds a browser shall ask by https only. Take 0 "
        "until https works, then an hour, and after a week 31536000, a year.",
        kind="whole",
        default=3600,
        least=0,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_SECURE_HSTS_INCLUDE_SUBDOMAINS",
        group=SECURITY,
        help="Whether that holds for subdomains too.",
        kind="flag",
        default=True,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_SECURE_HSTS_PRELOAD",
        group=SECURITY,
        help="Whether browsers may have it built in, which cannot be taken "
        "back for months.",
        kind="flag",
        default=False,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_CSP_REPORT_ONLY",
        group=SECURITY,
        help="Reports what the Content Security Policy would keep from "
        "happening, and lets it happen.",
        kind="flag",
        default=False,
    ),
    Variable(
        name="DJANGO_CSP_REPORT_URL",
        group=SECURITY,
        help="Where browsers report it; nowhere when it is not set.",
        example=f"https://reports.{HOST}/csp",
    ),
    Variable(
        name="DJANGO_ADMIN_PATH",
        group=SECURITY,
        help="Where the admin is. Another path than the usual one spares the "
        "log what robots try.",
        default="admin/",
    ),
    Variable(
        name="DJANGO_TRUSTED_PROXIES",
        group=SECURITY,
        help="How many proxies of yours a request passes; each adds an "
        "address to X-Forwarded-For. With one too many, clients can invent "
        "their address, with one too few all seem to be one; the log shows "
        "the header of who is throttled.",
        kind="whole",
        default=1,
        defaults={LOCAL: 0},
        least=0,
    ),
    Variable(
        name="DJANGO_THROTTLE_ORDERS",
        group=SECURITY,
        help="How many orders one address may place, per second, minute, "
        "hour or day.",
        kind="rate",
        default="30/minute",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_THROTTLE_STATUS",
        group=SECURITY,
        help="How often one address may look at orders; a page that is open "
        "does so every second until its order has ended.",
        kind="rate",
        default="600/minute",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_THROTTLE_WEBHOOK",
        group=SECURITY,
        help="How many refused messages one address may send to the webhooks. "
        "Signed ones are never counted.",
        kind="rate",
        default="120/minute",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_THROTTLE_LOGIN",
        group=SECURITY,
        help="How often one address may try to log in to the admin.",
        kind="rate",
        default="20/hour",
        defaults={LOCAL: "off"},
    ),
    # --- Durable workflows ---
    Variable(
        name="QSTASH_URL",
        group=WORKFLOWS,
        help="Where messages are published: the service, or the embedded "
        "server, which runserver starts when this is an address of this "
        "machine.",
        default="https://qstash.upstash.io",
        fresh="http://127.0.0.1:8080",
    ),
    Variable(
        name="QSTASH_TOKEN",
        group=WORKFLOWS,
        help="May publish.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="QSTASH_CURRENT_SIGNING_KEY",
        group=WORKFLOWS,
        help="Signs what QStash delivers.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="QSTASH_NEXT_SIGNING_KEY",
        group=WORKFLOWS,
        help="Signs it after the keys have been rotated.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="DJANGO_HOOKFLOW_DOMAIN",
        group=WORKFLOWS,
        help="The address at which QStash reaches this site, such as "
        f"https://{HOST} when it is deployed.",
        needed=EVERYWHERE,
        example=f"https://{HOST}",
        fresh="http://127.0.0.1:8000",
    ),
    Variable(
        name="DJANGO_ALLOW_LOOPBACK",
        group=WORKFLOWS,
        help="Lets a site with DEBUG off start whose addresses lead to this "
        "machine only, as when everything is tried on one.",
        kind="flag",
        default=False,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_HOOKFLOW_LEASE",
        group=WORKFLOWS,
        help="Seconds until a run whose worker died is taken over.",
        kind="number",
        default=30,
        defaults={LOCAL: 5},
        least=1,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_DELIVERY_BUDGET",
        group=WORKFLOWS,
        help="Seconds after which a delivery hands on the rest of its steps "
        "to the next one.",
        kind="number",
        default=20,
        least=0,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_PARALLELISM",
        group=WORKFLOWS,
        help="How many deliveries QStash makes to this site at the same time; "
        "0 leaves that to its plan. Take half of WEB_CONCURRENCY times "
        "WEB_THREADS when steps call the site itself.",
        kind="whole",
        default=0,
        least=0,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_KEEP_DAYS",
        group=WORKFLOWS,
        help="Days after which the cleanup deletes runs that have ended, with "
        "their steps.",
        kind="whole",
        default=30,
        least=0,
        most=36_500,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_MAX_BODY",
        group=WORKFLOWS,
        help="Bytes of a message that the webhook reads; a larger one is "
        "refused with 413. Ours have some 200, and QStash allows 10 MB where "
        "one pays as one goes.",
        kind="whole",
        default=11_000_000,
        least=1000,
    ),
    Variable(
        name="DJANGO_READY_OVERDUE",
        group=WORKFLOWS,
        help="Seconds a run may be overdue before /readyz calls the site "
        "degraded.",
        kind="number",
        default=600,
        least=0,
    ),
    # --- Observability ---
    Variable(
        name="DJANGO_LOG_FORMAT",
        group=WATCH,
        help="How a log record is written: as a line for people, or as one "
        "JSON object on a line.",
        default="line",
        defaults={PRODUCTION: "json"},
        choices=("json", "line"),
    ),
    Variable(
        name="DJANGO_TRUST_REQUEST_ID",
        group=WATCH,
        help="Whether the X-Request-ID of a request is taken over; only when "
        "the proxy in front sets it.",
        kind="flag",
        default=False,
    ),
    Variable(
        name="DJANGO_METRICS_TOKEN",
        group=WATCH,
        help="What Prometheus sends as bearer token to /metrics; without it "
        "there is no such page.",
        secret=True,
    ),
    Variable(
        name="SENTRY_DSN",
        group=WATCH,
        help="Where Sentry takes reports; without it nothing is sent.",
        secret=True,
        example="https://key@o0.ingest.sentry.io/0",
    ),
    Variable(
        name="SENTRY_ENVIRONMENT",
        group=WATCH,
        help="What Sentry calls this place.",
        default="production",
        defaults={LOCAL: "development"},
    ),
    Variable(
        name="SENTRY_RELEASE",
        group=WATCH,
        help="What Sentry calls the version that runs, such as a commit.",
    ),
    Variable(
        name="SENTRY_TRACES_SAMPLE_RATE",
        group=WATCH,
        help="Which part of the traces Sentry gets, from 0 to 1.",
        kind="number",
        default=0,
        least=0,
        most=1,
    ),
    Variable(
        name="SENTRY_SEND_PII",
        group=WATCH,
        help="Whether reports hold data of runs and users: local variables, "
        "bodies, cookies.",
        kind="flag",
        default=False,
    ),
    Variable(
        name="PROMETHEUS_MULTIPROC_DIR",
        group=WATCH,
        help="A directory in which the processes of one gunicorn share what "
        "they count. It makes one itself when this is not set, and empties "
        "it when it starts.",
        reader="django_hookflow/contrib/observability/gunicorn.py",
    ),
    # --- The shop and its payments ---
    Variable(
        name="PAYMENTS_URL",
        group=SHOP,
        help="The provider that charges cards; the sandbox in this project "
        "plays one.",
        needed=EVERYWHERE,
        example=f"https://{HOST}/sandbox",
        fresh="http://127.0.0.1:8000/sandbox",
    ),
    Variable(
        name="PAYMENTS_API_KEY",
        group=SHOP,
        help="Lets us ask the provider.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="PAYMENTS_WEBHOOK_SECRET",
        group=SHOP,
        help="Shows us that a webhook comes from the provider.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="ORDERS_CURRENCY",
        group=SHOP,
        help="The currency of all prices.",
        default="EUR",
    ),
    Variable(
        name="ORDERS_PAYMENT_TIMEOUT",
        group=SHOP,
        help="Seconds until a customer is reminded of a payment, and again "
        "until the order is given up.",
        kind="whole",
        default=3600,
        defaults={LOCAL: 60},
        least=1,
    ),
    # --- The process ---
    Variable(
        name="DJANGO_SETTINGS_MODULE",
        group=PROCESS,
        help="The settings. gunicorn takes config.settings.production by "
        "itself; manage.py takes these unless it is told otherwise.",
        default="config.settings.local",
        reader="manage.py",
        example="config.settings.production",
    ),
    Variable(
        name="DJANGO_ENV_FILE",
        group=PROCESS,
        help="Another file with variables than the .env beside manage.py. "
        "What is set outside of the file wins over it.",
        default=".env",
        reader="config/environment.py",
    ),
    Variable(
        name="PORT",
        group=PROCESS,
        help="Where the site listens.",
        kind="whole",
        default=8000,
        reader="scripts/dev.py",
    ),
    Variable(
        name="WEB_CONCURRENCY",
        group=PROCESS,
        help="How many worker processes gunicorn has.",
        kind="whole",
        default=2,
        least=1,
        reader="gunicorn.conf.py",
    ),
    Variable(
        name="WEB_THREADS",
        group=PROCESS,
        help="How many threads each of them has; a thread may hold a "
        "connection to the database.",
        kind="whole",
        default=8,
        least=2,
        reader="gunicorn.conf.py",
    ),
    # --- Containers and the tunnel ---
    Variable(
        name="COMPOSE_PROFILES",
        group=CONTAINERS,
        help='Which services run beside the site: "qstash" is the embedded '
        'server, "tunnel" is ngrok, and nothing is for a server.',
        reader="compose.yaml",
        fresh="qstash",
    ),
    Variable(
        name="COMPOSE_FILE",
        group=CONTAINERS,
        help="Both files on a server, so that no command has to name them.",
        default="compose.yaml",
        reader="compose.production.yaml",
        example="compose.yaml:compose.production.yaml",
    ),
    Variable(
        name="COMPOSE_QSTASH_URL",
        group=CONTAINERS,
        help="QSTASH_URL as containers on a laptop have it; with the tunnel "
        "it is the service.",
        default="http://qstash:8080",
        reader="compose.yaml",
        example="https://qstash.upstash.io",
    ),
    Variable(
        name="POSTGRES_PASSWORD",
        group=CONTAINERS,
        help="Of the database in its container. It is taken when that is "
        "started first, and stands in an address: letters, digits, - and _.",
        secret=True,
        reader="compose.yaml",
        fresh="",
    ),
    Variable(
        name="NGROK_AUTHTOKEN",
        group=CONTAINERS,
        help="Lets ngrok open a tunnel; its dashboard shows yours.",
        secret=True,
        reader="scripts/tunnel.py",
    ),
    Variable(
        name="NGROK_URL",
        group=CONTAINERS,
        help="The address the tunnel has; compose needs it, and make tunnel "
        "takes any when it is not set.",
        reader="scripts/tunnel.py",
        example="https://your-own.ngrok-free.app",
    ),
    Variable(
        name="SITE_UPSTREAM",
        group=CONTAINERS,
        help="Where Caddy finds the site.",
        default="web:8000",
        reader="deploy/Caddyfile",
        example="127.0.0.1:8000",
    ),
)

VARIABLES: Mapping[str, Variable] = {one.name: one for one in DECLARED}


def needed_in(module: str) -> tuple[str, ...]:
    """The variables without which `config.settings.<module>` fails."""
    return tuple(one.name for one in DECLARED if module in one.needed)
