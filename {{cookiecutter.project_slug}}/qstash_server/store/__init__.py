"""The only package whose queries write.

messages        insert drafts (with deduplication), cancel, read
attempts        claim what is due, record how it ended
statements      hand-written SQL for these two
lanes           the shared state of queues and flow keys: order and limits
queues          delete a queue
next_due        the next times at which work is due
schedules       store them, create their messages
clock_changes   repair rows written while the clock was ahead
dead_letters    list, delete, retry
groups          URL groups and their endpoints
keys            the signing keys of an account
developer_actions   actions of the status page
purge           delete old rows
writing         one transaction, the lock order, deadlocks
"""

from __future__ import annotations
