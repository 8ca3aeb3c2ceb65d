from __future__ import annotations

from django_hookflow import workflow
from django_hookflow.contrib.temporal.tests.programs import steady

workflow(steady)
