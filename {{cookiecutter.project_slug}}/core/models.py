"""Counts of requests per client, for all processes of the site."""

from __future__ import annotations

from django.db import models


class RequestCount(models.Model):
    """The requests of one client in one stretch of time; see throttling.

    The table is not logged on PostgreSQL: a count costs no write to disk,
    and is gone when the server crashes, which is fine.
    """

    # A keyed hash of scope, client and end: no
    # addresses are kept.
    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    ends_at = models.BigIntegerField(db_index=True)  # unix seconds

    def __str__(self) -> str:
        return f"{self.count} until {self.ends_at}"
