"""Settings of a deployed site; every secret comes from the environment."""

from __future__ import annotations

from config.declaration import PRODUCTION
from config.environment import kept_connections
from config.environment import seal
from config.environment import variable

from .base import *

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = variable("DJANGO_SECURE_SSL_REDIRECT")
SECURE_HSTS_SECONDS = variable("DJANGO_SECURE_HSTS_SECONDS")
SECURE_HSTS_INCLUDE_SUBDOMAINS = variable(
    "DJANGO_SECURE_HSTS_INCLUDE_SUBDOMAINS"
)
SECURE_HSTS_PRELOAD = variable("DJANGO_SECURE_HSTS_PRELOAD")
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

DJANGO_ALLOW_SQLITE = variable("DJANGO_ALLOW_SQLITE")
DJANGO_ALLOW_LOOPBACK = variable("DJANGO_ALLOW_LOOPBACK")

# A connection outlives its request, and is looked at before the next. In a
# pool that is the pool's affair, and Django wants no age of its own.
DATABASES["default"] |= kept_connections(
    DATABASES["default"],
    age=variable("DJANGO_CONN_MAX_AGE"),
    pool=variable("DJANGO_DB_POOL"),
)

LOGGING["handlers"]["console"]["formatter"] = variable(
    "DJANGO_LOG_FORMAT", PRODUCTION
)

# Preloading cannot be taken back for months, so it is the owner's choice.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

seal(PRODUCTION)
