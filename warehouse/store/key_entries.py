"""Ids of keys in the ledger. Does not belong here: the keys themselves (home/keys.py)."""

from __future__ import annotations

from warehouse.home.account import ACCOUNT, account
from warehouse.home.keys import PURPOSES, keys
from warehouse.store.ledger import EntryKind
from warehouse.store.store import Store


def enter_keys(store: Store) -> list[str]:
    """Enter the ids of keys that the ledger does not know yet, with the account that runs qala: `keys new` does so, and every run. Returns the ids."""
    known = {row[0] for row in store.con.execute("SELECT subject FROM audit.ledger WHERE kind = 'key'").fetchall()}
    all_keys = [key for purpose in PURPOSES for key in keys(store.home, purpose)]
    fresh = [key for key in all_keys if f"{key.purpose} {key.id}" not in known]
    entries = [
        (EntryKind.KEY, f"{k.purpose} {k.id}", {"purpose": k.purpose, "id": k.id, ACCOUNT: account()}) for k in fresh
    ]
    if entries:
        with store.transaction():
            store.record(entries)
    return [key.id for key in fresh]
