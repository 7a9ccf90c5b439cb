"""Ids of keys in the ledger. Does not belong here: the keys themselves (home/keys.py)."""

from __future__ import annotations

from warehouse.home.account import ACCOUNT, account
from warehouse.home.keys import PURPOSES, keys
from warehouse.store.store import Store


def enter_keys(store: Store) -> list[str]:
    """Enter the ids of keys that the ledger does not know yet, with who is at work: `keys new` does so, and every run. Returns the ids."""
    known = {row[0] for row in store.con.execute("SELECT subject FROM audit.ledger WHERE kind = 'key'").fetchall()}
    fresh = [
        (f"{purpose} {key.id}", key) for purpose in PURPOSES for key in keys(store.home, purpose)
        if f"{purpose} {key.id}" not in known
    ]  # fmt: skip
    if fresh:
        with store.transaction():
            store.record(
                [("key", subject, {"purpose": k.purpose, "id": k.id, ACCOUNT: account()}) for subject, k in fresh]
            )
    return [key.id for _, key in fresh]
