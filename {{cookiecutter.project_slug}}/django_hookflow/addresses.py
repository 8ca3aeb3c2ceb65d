"""Check addresses in settings, and build the site's public ones."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import get_script_prefix
from django.urls import reverse
from django.urls import set_script_prefix

from django_hookflow.conf import conf

SCHEME = re.compile(r"\A\w*:?//", re.IGNORECASE)


def public_url(view: str, *args: str) -> str:
    """Return the address of a view as others call it, from settings alone.

    A request's own Host is not trusted, and a command has no request: the
    path in front of the site is FORCE_SCRIPT_NAME, not SCRIPT_NAME.
    """
    return conf.DJANGO_HOOKFLOW_DOMAIN.rstrip("/") + public_path(view, *args)


def public_path(view: str, *args: str) -> str:
    before = get_script_prefix()
    set_script_prefix(settings.FORCE_SCRIPT_NAME or "/")
    try:
        return reverse(view, args=args)
    finally:
        set_script_prefix(before)


def problem_of(url: str) -> str:
    """Return why `url` cannot be called, to end a sentence with; or ""."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        return f"which is not a URL: {error}"
    if re.search(r"[^\x21-\x7e]", url):
        return "which has white space or characters that a URL cannot have"
    if not url.startswith(("http://", "https://")):
        return 'which does not begin with "http://" or "https://"'
    if not named:
        return "which has no host"
    if set(url) & set("?#@"):
        return "which has a user, a query or a fragment"
    return ""


def cure_for(url: str) -> str:
    """Return a hint with a usable form of `url`."""
    bare = re.sub(r"[?#].*|\s", "", SCHEME.sub("", url)).rpartition("@")[2]
    host = bare.strip("/") or "shop.example.com"
    return f'Write it like this: "https://{host}".'
