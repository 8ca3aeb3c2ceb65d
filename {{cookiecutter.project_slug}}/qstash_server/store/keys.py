"""The signing keys of each account, across restarts and rotations."""

from __future__ import annotations

from ..accounts import Account
from ..accounts import KeyPair
from ..ids import new_id
from ..models import SigningKeys
from .writing import written


@written
def load(account: Account) -> KeyPair:
    """Return the keys to sign with.

    After a rotation they are the rotated ones, until the settings change:
    then receivers have the keys of the settings.
    """
    row = SigningKeys.objects.filter(account=account.name).first()
    if row is None:
        row = SigningKeys(account=account.name)
    seed = KeyPair(row.configured_current, row.configured_next)
    if seed != account.keys:
        row.current, row.next = account.keys.current, account.keys.next
        row.configured_current = account.keys.current
        row.configured_next = account.keys.next
        row.save()
    return KeyPair(row.current, row.next)


@written
def rotate(account: str) -> KeyPair:
    """Make the next key the current one, and a new next key."""
    row = SigningKeys.objects.select_for_update().get(account=account)
    row.current, row.next = row.next, new_id("sig")
    row.save(update_fields=["current", "next"])
    return KeyPair(row.current, row.next)
