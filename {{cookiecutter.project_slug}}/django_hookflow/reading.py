"""Questions about runs that views, the admin and commands share.

Public: the methods of `WorkflowRun.objects`.
"""

from __future__ import annotations

from typing import Any
from typing import TypeVar

from django.db import connections
from django.db import models
from django.db.models.fields.json import KeyTransform

from django_hookflow.attributes import encoded
from django_hookflow.dlq import DeadLetterEntry
from django_hookflow.journal import PATCH_SUFFIX

# The action of the audit entry by which a run is hidden.
HIDE = "hide"

RunT = TypeVar("RunT", bound=models.Model)


def subject_of(row: models.Model) -> str:
    """Return the text by which runs refer to a saved row.

    Raises TypeError for what is none.
    """
    if not isinstance(row, models.Model) or row.pk is None:
        raise TypeError(
            f"Invalid row {row!r}, expected a saved instance of a model. "
            "Save it first, and write about=order."
        )
    concrete = row._meta.concrete_model or type(row)
    return f"{concrete._meta.label_lower}:{row.pk}"


class RunManager(models.Manager[RunT]):
    """`WorkflowRun.objects`."""

    def current(self, run_id: str) -> RunT | None:
        """Return the run of an id, or the last that continues it.

        The retry of a dead letter is a new run with an id of its own, and may
        fail and be retried in turn; so is what goes on after continue_as_new.
        None when no row of them is left.
        """
        found = self.filter(run_id=run_id).first()
        if found is None:
            letters = DeadLetterEntry.objects.using(self.db)
            letter = letters.filter(run_id=run_id, is_replayed=True).first()
            return self.current(letter.replayed_as) if letter else None
        while (after := self.following(found)) is not None:
            found = after
        return found

    def following(self, run: RunT) -> RunT | None:
        """Return the run that continues another; a fork does not."""
        after = self.filter(origin=run.pk).select_related("origin")
        return next(
            (r for r in after if not getattr(r, "is_fork", None)), None
        )

    def not_hidden(self) -> models.QuerySet[RunT]:
        """Return the runs but for those that hide_run has hidden."""
        return self.exclude(audit_entries__action=HIDE)

    def for_object(self, row: models.Model) -> models.QuerySet[RunT]:
        """Return the runs that were triggered with `about=row`."""
        return self.filter(subject=subject_of(row))

    def with_attributes(self, **wanted: Any) -> models.QuerySet[RunT]:
        """Return the runs whose function has set all of these attributes.

        On PostgreSQL by an index.
        """
        values = encoded(wanted, "The attributes to find runs by")
        found = self.exclude(attributes={})
        if connections[self.db].vendor == "postgresql":
            found = found.filter(attributes__contains=values)
        for number, (name, value) in enumerate(values.items()):
            key = f"_attribute_{number}"
            found = found.alias(**{key: KeyTransform(name, "attributes")})
            found = found.filter(**{key: value})
        return found

    def unpatched(
        self, workflow_id: str, change_id: str
    ) -> models.QuerySet[RunT]:
        """Return open runs that have begun and not taken a change.

        They may need the code from before it; some may yet come to it.
        """
        begun = self.filter(workflow_id=workflow_id, started_at__isnull=False)
        return begun.filter(completed_at=None).exclude(
            step_executions__step_id=change_id + PATCH_SUFFIX
        )
