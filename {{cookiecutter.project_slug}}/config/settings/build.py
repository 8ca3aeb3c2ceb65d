"""Settings for building an image: static files are collected, no more.

No secret is at hand there, and nothing is connected to.
"""

from __future__ import annotations

from config.environment import seal

from .base import *

# As in production, whose pages name the files by these hashes.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

seal()
