"""What the engine tells the world; its own log lines listen here too.

Each is sent with the class WorkflowRun as `sender`, `workflow_id`, `run_id`.
"""

from __future__ import annotations

from django.dispatch import Signal

# The run's row is committed.
run_triggered = Signal(use_caching=True)
# A delivery took the lease: `delivery` its number, `crashes` how many before
# it died in silence.
run_claimed = Signal(use_caching=True)
# A step was executed and recorded, never a replayed one: `entry`.
step_recorded = Signal(use_caching=True)
# A delivery ended: `verdict`, and `error`, the exception that the function
# let pass or that a step is tried again for, or None.
run_committed = Signal(use_caching=True)
# A message could not be sent; the sweeper will: `error`.
send_failed = Signal(use_caching=True)
# The sweeper rang for a run that was overdue.
run_swept = Signal(use_caching=True)
