"""The site as ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from core.checks import refuse_to_start
from core.requests import AsyncSiteRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = get_asgi_application()
application.request_class = AsyncSiteRequest

# Needs the apps, so it is imported after they are loaded.
refuse_to_start()
