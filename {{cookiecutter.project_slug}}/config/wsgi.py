"""The site as WSGI application."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from core.checks import refuse_to_start
from core.requests import SiteRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = get_wsgi_application()
application.request_class = SiteRequest

# Needs the apps, so it is imported after they are loaded.
refuse_to_start()
