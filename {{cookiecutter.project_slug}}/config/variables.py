"""Every environment variable of the project, declared once.

The settings read a variable through `config.environment.variable`, which
knows only declared names; `make docs` writes .env.example and
docs/configuration.md from them. Standard library only, so that scripts can
read the list before the dependencies are installed.
"""

from __future__ import annotations

from collections.abc import Mapping

from config.declaration import CONTAINERS
from config.declaration import DATA
from config.declaration import DJANGO
from config.declaration import EVERYWHERE
from config.declaration import HOST
from config.declaration import LOCAL
from config.declaration import PROCESS
from config.declaration import PRODUCTION
from config.declaration import SECURITY
from config.declaration import WATCH
from config.declaration import WORKFLOWS
from config.declaration import Variable
from orders.variables import DECLARED as OF_THE_SAMPLE  # sample
from temporal_app.variables import DECLARED as OF_TEMPORAL  # temporal

DECLARED = (
    # --- Django ---
    Variable(
        name="DJANGO_SECRET_KEY",
        group=DJANGO,
        help="Signs sessions and tokens. Use a long random text, different in "
        "each environment.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="DJANGO_DEBUG",
        group=DJANGO,
        help="Show errors in the browser.",
        kind="flag",
        default=True,
        read_in=(LOCAL,),
    ),
    Variable(
        name="DJANGO_LOG_LEVEL",
        group=DJANGO,
        help="The minimum level of log records.",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    ),
    Variable(
        name="DJANGO_ALLOWED_HOSTS",
        group=DJANGO,
        help="Host names of the site. On a laptop, loopback names and the "
        "host of DJANGO_HOOKFLOW_DOMAIN are always allowed.",
        kind="list",
        default=(),
        needed=(PRODUCTION,),
        example=HOST,
    ),
    Variable(
        name="DJANGO_CSRF_TRUSTED_ORIGINS",
        group=DJANGO,
        help="Other origins whose forms are trusted, including the scheme.",
        kind="list",
        default=(),
        example=f"https://{HOST}",
    ),
    # --- Database and mail ---
    Variable(
        name="DATABASE_URL",
        group=DATA,
        help="PostgreSQL or SQLite. A SQLite path is relative to manage.py; "
        "with a fourth slash it is absolute.",
        kind="database",
        default="sqlite:///db.sqlite3",
        needed=(PRODUCTION,),
        secret=True,
        example="postgres://user:password@127.0.0.1:5432/database",
    ),
    Variable(
        name="DJANGO_CONN_MAX_AGE",
        group=DATA,
        help="Seconds to keep a database connection open; 0 closes it after "
        "each request.",
        kind="whole",
        default=60,
        least=0,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_DB_POOL",
        group=DATA,
        help="Maximum PostgreSQL connections shared by the threads of a "
        "process; 0 gives each thread its own. Use WEB_THREADS plus two: one "
        "for the leases of long steps, one for /readyz.",
        kind="whole",
        default=0,
        least=0,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_ALLOW_SQLITE",
        group=DATA,
        help="Allow SQLite with DEBUG off: for one process on one machine "
        "with a persistent disk.",
        kind="flag",
        default=False,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_EMAIL_URL",
        group=DATA,
        help="Mail server: submission://, smtp://, file: or console:. On a "
        "laptop mail is printed.",
        kind="mail",
        default="console:",
        needed=(PRODUCTION,),
        secret=True,
        example=f"submission://user:password@mail.{HOST}:587",
    ),
    Variable(
        name="DJANGO_FROM_EMAIL",
        group=DATA,
        help="Sender address of mail.",
        default="site@localhost",
        example=f"site@{HOST}",
    ),
    # --- Security ---
    Variable(
        name="DJANGO_SECURE_SSL_REDIRECT",
        group=SECURITY,
        help="Redirect http to https.",
        kind="flag",
        default=True,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_SECURE_HSTS_SECONDS",
        group=SECURITY,
        help="HSTS max-age in seconds. Use 0 until https works, then 3600, "
        "and after a week 31536000 (a year).",
        kind="whole",
        default=3600,
        least=0,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_SECURE_HSTS_INCLUDE_SUBDOMAINS",
        group=SECURITY,
        help="Apply HSTS to subdomains too.",
        kind="flag",
        default=True,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_SECURE_HSTS_PRELOAD",
        group=SECURITY,
        help="Allow browsers to preload HSTS for this site; undoing this "
        "takes months.",
        kind="flag",
        default=False,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_CSP_REPORT_ONLY",
        group=SECURITY,
        help="Report violations of the Content Security Policy without "
        "blocking them.",
        kind="flag",
        default=False,
    ),
    Variable(
        name="DJANGO_CSP_REPORT_URL",
        group=SECURITY,
        help="URL for violation reports of browsers; without it they send "
        "none.",
        example=f"https://reports.{HOST}/csp",
    ),
    Variable(
        name="DJANGO_ADMIN_PATH",
        group=SECURITY,
        help="Path of the admin. A non-default path keeps bot traffic out of "
        "your logs.",
        default="admin/",
    ),
    Variable(
        name="DJANGO_TRUSTED_PROXIES",
        group=SECURITY,
        help="Number of your proxies that a request passes; each adds an "
        "address to X-Forwarded-For. Too high, and clients can spoof their "
        "address; too low, and all clients share one. Throttle log lines "
        "include X-Forwarded-For so you can check.",
        kind="whole",
        default=1,
        defaults={LOCAL: 0},
        least=0,
    ),
    Variable(
        name="DJANGO_THROTTLE_WEBHOOK",
        group=SECURITY,
        help="Refused messages to the webhooks per client address. Messages "
        "with a valid signature do not count.",
        kind="rate",
        default="120/minute",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_THROTTLE_LOGIN",
        group=SECURITY,
        help="Log-in attempts to the admin per client address.",
        kind="rate",
        default="20/hour",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_THROTTLE_CREATIONS",
        group=SECURITY,
        help="Runs that one user starts by the API, with retries and forks.",
        kind="rate",
        default="100/hour",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_THROTTLE_RESUMES",
        group=SECURITY,
        help="Answers, events and resumptions that one user sends to the API.",
        kind="rate",
        default="300/hour",
        defaults={LOCAL: "off"},
    ),
    Variable(
        name="DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION",
        group=SECURITY,
        help="Whether the API over runs is for people who are logged in. "
        "With False anyone starts, sees and cancels the runs without an "
        "owner: for a demo.",
        kind="flag",
        default=True,
    ),
    # --- Durable workflows ---
    Variable(
        name="QSTASH_URL",
        group=WORKFLOWS,
        help=(
            "Address of the QStash service."
            # qstash-server: begin
            " If it is an address of this machine, runserver starts the "
            "embedded server there."
            # qstash-server: end
        ),
        default="https://qstash.upstash.io",
        fresh="http://127.0.0.1:8080",  # qstash-server
        # without qstash-server: fresh="https://qstash.upstash.io",
    ),
    Variable(
        name="QSTASH_TOKEN",
        group=WORKFLOWS,
        help="Token for publishing messages.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="QSTASH_CURRENT_SIGNING_KEY",
        group=WORKFLOWS,
        help="Verifies messages from QStash.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="QSTASH_NEXT_SIGNING_KEY",
        group=WORKFLOWS,
        help="Verifies messages after a key rotation.",
        needed=EVERYWHERE,
        secret=True,
        fresh="",
    ),
    Variable(
        name="DJANGO_HOOKFLOW_DOMAIN",
        group=WORKFLOWS,
        help="Public address at which QStash calls this site, for example "
        f"https://{HOST}.",
        needed=EVERYWHERE,
        example=f"https://{HOST}",
        fresh="http://127.0.0.1:8000",
    ),
    Variable(
        name="DJANGO_ALLOW_LOOPBACK",
        group=WORKFLOWS,
        help="Allow loopback addresses with DEBUG off, to try everything on "
        "one machine.",
        kind="flag",
        default=False,
        read_in=(PRODUCTION,),
    ),
    Variable(
        name="DJANGO_HOOKFLOW_LEASE",
        group=WORKFLOWS,
        help="Seconds until a run is taken over after its worker died.",
        kind="number",
        default=30,
        defaults={LOCAL: 5},
        least=1,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_DELIVERY_BUDGET",
        group=WORKFLOWS,
        help="Seconds after which a delivery leaves the remaining steps to "
        "the next one.",
        kind="number",
        default=20,
        least=0,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_PARALLELISM",
        group=WORKFLOWS,
        help="Maximum parallel deliveries to this site; 0 means the limit of "
        "the QStash plan. If steps call the site itself, use half of "
        "WEB_CONCURRENCY times WEB_THREADS.",
        kind="whole",
        default=0,
        least=0,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_KEEP_DAYS",
        group=WORKFLOWS,
        help="Days after which the cleanup deletes ended runs and their "
        "steps.",
        kind="whole",
        default=30,
        least=0,
        most=36_500,
    ),
    Variable(
        name="DJANGO_HOOKFLOW_MAX_BODY",
        group=WORKFLOWS,
        help="Maximum size of a message in bytes; a larger one is refused "
        "with 413. Our messages have some 200 bytes; QStash allows 10 MB.",
        kind="whole",
        default=11_000_000,
        least=1000,
    ),
    Variable(
        name="DJANGO_READY_OVERDUE",
        group=WORKFLOWS,
        help="Seconds a run may be overdue before /readyz?all reports the "
        "site as degraded.",
        kind="number",
        default=600,
        least=0,
    ),
    # --- Observability ---
    Variable(
        name="DJANGO_LOG_FORMAT",
        group=WATCH,
        help="Format of log records: a readable line, or one JSON object per "
        "line.",
        default="line",
        defaults={PRODUCTION: "json"},
        choices=("json", "line"),
    ),
    Variable(
        name="DJANGO_TRUST_REQUEST_ID",
        group=WATCH,
        help="Use the X-Request-ID header of requests. Enable only if your "
        "proxy sets it.",
        kind="flag",
        default=False,
    ),
    Variable(
        name="DJANGO_METRICS_TOKEN",
        group=WATCH,
        help="Bearer token of Prometheus for /metrics; without it the page "
        "does not exist.",
        secret=True,
    ),
    Variable(
        name="SENTRY_DSN",
        group=WATCH,
        help="Sentry project address; without it nothing is sent.",
        secret=True,
        example="https://key@o0.ingest.sentry.io/0",
    ),
    Variable(
        name="SENTRY_ENVIRONMENT",
        group=WATCH,
        help="Environment name in Sentry.",
        default="production",
        defaults={LOCAL: "development"},
    ),
    Variable(
        name="SENTRY_RELEASE",
        group=WATCH,
        help="Release name in Sentry, for example a commit.",
    ),
    Variable(
        name="SENTRY_TRACES_SAMPLE_RATE",
        group=WATCH,
        help="Fraction of traces sent to Sentry, from 0 to 1.",
        kind="number",
        default=0,
        least=0,
        most=1,
    ),
    Variable(
        name="SENTRY_SEND_PII",
        group=WATCH,
        help="Include data of runs and users in reports: local variables, "
        "bodies, cookies.",
        kind="flag",
        default=False,
    ),
    Variable(
        name="PROMETHEUS_MULTIPROC_DIR",
        group=WATCH,
        help="Directory in which the processes of one gunicorn share metrics, "
        "emptied at start. By default gunicorn creates a temporary one.",
        reader="django_hookflow/contrib/observability/gunicorn.py",
    ),
    *OF_THE_SAMPLE,  # sample
    *OF_TEMPORAL,  # temporal
    # --- The process ---
    Variable(
        name="DJANGO_SETTINGS_MODULE",
        group=PROCESS,
        help="Settings module of manage.py. gunicorn uses "
        "config.settings.production.",
        default="config.settings.local",
        reader="manage.py",
        example="config.settings.production",
    ),
    Variable(
        name="DJANGO_ENV_FILE",
        group=PROCESS,
        help="File with variables, by default beside manage.py. Variables of "
        "the environment take precedence.",
        default=".env",
        reader="config/environment.py",
    ),
    Variable(
        name="PORT",
        group=PROCESS,
        help="Port of the site.",
        kind="whole",
        default=8000,
        reader="scripts/dev.py",
    ),
    Variable(
        name="WEB_CONCURRENCY",
        group=PROCESS,
        help="Number of gunicorn worker processes.",
        kind="whole",
        default=2,
        least=1,
        reader="gunicorn.conf.py",
    ),
    Variable(
        name="WEB_THREADS",
        group=PROCESS,
        help="Threads per worker process; each may hold a database "
        "connection.",
        kind="whole",
        default=8,
        least=2,
        reader="gunicorn.conf.py",
    ),
    # --- Containers and the tunnel ---
    Variable(
        name="COMPOSE_PROFILES",
        group=CONTAINERS,
        help=(
            "Services beside the site: "
            '"qstash" is the embedded server, '  # qstash-server
            '"tunnel" is ngrok; leave it empty on a server.'
        ),
        reader="compose.yaml",
        fresh="qstash",  # qstash-server
    ),
    Variable(
        name="COMPOSE_FILE",
        group=CONTAINERS,
        help="Set both files on a server, so that commands need not name "
        "them.",
        default="compose.yaml",
        reader="compose.production.yaml",
        example="compose.yaml:compose.production.yaml",
    ),
    Variable(
        name="COMPOSE_QSTASH_URL",
        group=CONTAINERS,
        help="QSTASH_URL inside containers on a laptop; with the tunnel, the "
        "address of the service.",
        default="http://qstash:8080",  # qstash-server
        # without qstash-server: default="https://qstash.upstash.io",
        reader="compose.yaml",
        example="https://qstash.upstash.io",
    ),
    Variable(
        name="POSTGRES_PASSWORD",
        group=CONTAINERS,
        help="Password of the database container, set at its first start. Use "
        "letters, digits, - and _ only, since it is part of a URL.",
        secret=True,
        reader="compose.yaml",
        fresh="",
    ),
    Variable(
        name="NGROK_AUTHTOKEN",
        group=CONTAINERS,
        help="Your ngrok token, from its dashboard.",
        secret=True,
        reader="scripts/tunnel.py",
    ),
    Variable(
        name="NGROK_URL",
        group=CONTAINERS,
        help="Address of the tunnel. Required by compose; make tunnel gets a "
        "random one if it is not set.",
        reader="scripts/tunnel.py",
        example="https://your-own.ngrok-free.app",
    ),
    Variable(
        name="SITE_UPSTREAM",
        group=CONTAINERS,
        help="Address of the site for Caddy.",
        default="web:8000",
        reader="deploy/Caddyfile",
        example="127.0.0.1:8000",
    ),
)

VARIABLES: Mapping[str, Variable] = {one.name: one for one in DECLARED}


def needed_in(module: str) -> tuple[str, ...]:
    """Return the variables that `config.settings.<module>` requires."""
    return tuple(one.name for one in DECLARED if module in one.needed)
