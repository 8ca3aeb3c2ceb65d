"""The only package whose queries write.

messages        insert drafts (with deduplication), cancel, read
attempts        claim what is due, record how it ended
dead_letters    list, delete, retry
keys            the signing keys of an account
"""

from __future__ import annotations
