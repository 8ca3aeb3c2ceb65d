"""`manage.py run_temporal_worker`: one worker for all of this site.

It serves the runs of the engine, and the workflows and activities of this
app: add yours here.
"""

from __future__ import annotations

from django_hookflow.contrib.temporal.management.commands import (
    run_temporal_worker as engine,
)
from temporal_app.activities import process_user_activity
from temporal_app.activities import send_email_activity
from temporal_app.workflows import BatchProcessingWorkflow
from temporal_app.workflows import UserOnboardingWorkflow


class Command(engine.Command):
    workflows = (UserOnboardingWorkflow, BatchProcessingWorkflow)
    activities = (send_email_activity, process_user_activity)
