"""The only package whose queries write.

messages        insert drafts (with deduplication), cancel, read
attempts        claim what is due, record how it ended
statements      the busiest statements of these two, by hand
lanes           queues and flow keys: what they let pass, their limits
queues          the end of a queue
moments         when there is something to do next
schedules       keep them, produce their messages
future          what a clock that was ahead has left behind
dead_letters    list, delete, retry
groups          URL groups and their endpoints
keys            the signing keys of an account
wishes          what the status page asks for
purge           forget what is too old
writing         one transaction, the lock order, deadlocks
"""

from __future__ import annotations
