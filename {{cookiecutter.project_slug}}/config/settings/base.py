"""Settings every environment shares; what differs is read from variables."""

from __future__ import annotations

from typing import Any

import django

from config.environment import BASE_DIR
from config.environment import mailer
from config.environment import throttles
from config.environment import variable
from core import csp
from orders.settings import *  # sample
from payments_sandbox.settings import *  # sample

OBSERVABILITY = "django_hookflow.contrib.observability"

# What pages, the admin and the API call the site: a line of a file, since it
# is the same wherever the site runs.
SITE_NAME = (BASE_DIR / "config/name.txt").read_text(encoding="utf-8").strip()

SECRET_KEY = variable("DJANGO_SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS: list[str] = variable("DJANGO_ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS: list[str] = variable("DJANGO_CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "core",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    # qstash-server: begin
    # Before staticfiles: of two commands of a name the first app's runs, and
    # this one's runserver starts the embedded QStash server.
    "qstash_server",
    # qstash-server: end
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_hookflow",
    "django_hookflow.contrib.api",
    "django_hookflow.contrib.dashboard",
    OBSERVABILITY,
    # temporal: begin
    # Of two commands of a name the first app's runs, and this one's worker
    # serves its own workflows, too.
    "temporal_app",
    "django_hookflow.contrib.temporal",
    # temporal: end
    "orders",  # sample
    "payments_sandbox",  # sample
]

MIDDLEWARE = [
    "core.health.HealthMiddleware",
    f"{OBSERVABILITY}.middleware.RequestIdMiddleware",
    f"{OBSERVABILITY}.middleware.MetricsMiddleware",
    "core.requests.RefuseNulMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    csp.MIDDLEWARE,
    "core.throttling.ThrottlingMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# What a page may load; for a while a new policy may only be reported.
_POLICY = csp.policy(variable("DJANGO_CSP_REPORT_URL"))
_REPORT_ONLY = variable("DJANGO_CSP_REPORT_ONLY")
SECURE_CSP = {} if _REPORT_ONLY else _POLICY
SECURE_CSP_REPORT_ONLY = _POLICY if _REPORT_ONLY else {}

# How often one client may do what, and who the client is.
THROTTLES = throttles()
DJANGO_TRUSTED_PROXIES = variable("DJANGO_TRUSTED_PROXIES")

# Where pages send those who are not logged in; staff have accounts there.
LOGIN_URL = "admin:login"
ADMIN_PATH = variable("DJANGO_ADMIN_PATH").strip("/") + "/"

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                *csp.CONTEXT_PROCESSORS,
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": variable("DATABASE_URL")}
DJANGO_ALLOW_SQLITE = True
DJANGO_ALLOW_LOOPBACK = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REST_FRAMEWORK = {
    # Not HTTP Basic, the framework's other default: it would try passwords
    # at every address, past the throttle of the login page.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": [
        "core.browsable.SafeJSONRenderer",
        "core.browsable.BrowsableRenderer",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}

# The description of the API, and the pages that show it: from this site, so
# that its policy lets them in.
SPECTACULAR_SETTINGS = {
    "TITLE": "The API of the site",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api(/hookflow/v1)?",
    "PREPROCESSING_HOOKS": ["django_hookflow.contrib.api.schema.of_the_api"],
    "ENUM_NAME_OVERRIDES": {
        "RunStatusEnum": "django_hookflow.states.RunStatus",
        "OrderStatusEnum": "orders.models.Order.Status",  # sample
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

# Django 6.1 moved what EMAIL_… says to MAILERS; 5.2 knows only that.
if django.VERSION >= (6, 1):
    MAILERS = {"default": mailer(variable("DJANGO_EMAIL_URL"))}
else:
    globals().update(variable("DJANGO_EMAIL_URL"))
DEFAULT_FROM_EMAIL = variable("DJANGO_FROM_EMAIL")

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# One line per record on stderr, whatever DEBUG is; Django's own handlers
# would keep an error of a deployed site from its log.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": f"{OBSERVABILITY}.logs.ContextFilter"}},
    "formatters": {
        "line": {
            "class": "core.logs.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": f"{OBSERVABILITY}.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["context"],
            "formatter": variable("DJANGO_LOG_FORMAT"),
        }
    },
    "root": {
        "handlers": ["console"],
        "level": variable("DJANGO_LOG_LEVEL"),
    },
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        "httpx": {"level": "WARNING"},  # one record per published message
    },
}

# Without a DSN, without a token: nothing is imported, sent or counted.
DJANGO_TRUST_REQUEST_ID = variable("DJANGO_TRUST_REQUEST_ID")
DJANGO_METRICS_TOKEN = variable("DJANGO_METRICS_TOKEN")
SENTRY_DSN = variable("SENTRY_DSN")
SENTRY_ENVIRONMENT = variable("SENTRY_ENVIRONMENT")
SENTRY_RELEASE = variable("SENTRY_RELEASE")
SENTRY_TRACES_SAMPLE_RATE = variable("SENTRY_TRACES_SAMPLE_RATE")
SENTRY_SEND_PII = variable("SENTRY_SEND_PII")
DJANGO_HOOKFLOW_TRACERS: list[str] = []
if SENTRY_DSN:
    DJANGO_HOOKFLOW_TRACERS.append(f"{OBSERVABILITY}.sentry.SentryTracer")
if DJANGO_METRICS_TOKEN:
    DJANGO_HOOKFLOW_TRACERS.append(f"{OBSERVABILITY}.metrics.MetricsTracer")

# A run that has been due for longer makes /readyz?all answer 503.
DJANGO_READY_OVERDUE = variable("DJANGO_READY_OVERDUE")
# Seconds: how long /readyz waits for an answer, and how long that is kept.
READY_PATIENCE = 2.0
READY_KEEPS = {"database": 1.0, "transport": 10.0}

# Durable workflows: the four values of the QStash console, and our address.
QSTASH_URL = variable("QSTASH_URL")
QSTASH_TOKEN = variable("QSTASH_TOKEN")
QSTASH_CURRENT_SIGNING_KEY = variable("QSTASH_CURRENT_SIGNING_KEY")
QSTASH_NEXT_SIGNING_KEY = variable("QSTASH_NEXT_SIGNING_KEY")
DJANGO_HOOKFLOW_DOMAIN = variable("DJANGO_HOOKFLOW_DOMAIN")
DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION = variable(
    "DJANGO_HOOKFLOW_API_REQUIRE_AUTHENTICATION"
)
# By workflow: docs/PERMISSIONS_AND_THROTTLING.md. These count in the
# database, as core.throttling does, and not in each process.
DJANGO_HOOKFLOW_API_ACCESS = {
    "*": {
        "crud_throttle_class": "core.api_throttles:CreationThrottle",
        "resume_throttle_class": "core.api_throttles:ResumeThrottle",
    },
    # sample: begin
    # The shop starts them, for orders that it has checked.
    **{
        f"sample-{name}": {
            "crud_permission_class": "rest_framework.permissions:IsAdminUser"
        }
        for name in (
            "process-order",
            "refund-order",
            "approve-large-order",
            "onboard-customer",
            "nightly-report",
        )
    },
    # sample: end
}
DJANGO_HOOKFLOW_LEASE = variable("DJANGO_HOOKFLOW_LEASE")
DJANGO_HOOKFLOW_DELIVERY_BUDGET = variable("DJANGO_HOOKFLOW_DELIVERY_BUDGET")
DJANGO_HOOKFLOW_PARALLELISM = variable("DJANGO_HOOKFLOW_PARALLELISM")
DJANGO_HOOKFLOW_KEEP_DAYS = variable("DJANGO_HOOKFLOW_KEEP_DAYS")
DJANGO_HOOKFLOW_MAX_BODY = variable("DJANGO_HOOKFLOW_MAX_BODY")

# temporal: begin
# The transport of the runs: QStash's, or the one that uses this Temporal.
DJANGO_HOOKFLOW_TRANSPORT = variable("DJANGO_HOOKFLOW_TRANSPORT")
TEMPORAL_ADDRESS = variable("TEMPORAL_ADDRESS")
TEMPORAL_NAMESPACE = variable("TEMPORAL_NAMESPACE")
TEMPORAL_TASK_QUEUE = variable("TEMPORAL_TASK_QUEUE")
TEMPORAL_TLS = variable("TEMPORAL_TLS")
TEMPORAL_API_KEY = variable("TEMPORAL_API_KEY")
TEMPORAL_TLS_CERT = variable("TEMPORAL_TLS_CERT")
TEMPORAL_TLS_KEY = variable("TEMPORAL_TLS_KEY")
TEMPORAL_TLS_CA = variable("TEMPORAL_TLS_CA")
# temporal: end
