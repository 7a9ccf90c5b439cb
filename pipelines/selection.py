"""Which assets a run takes. Does not belong here: which months it is for (pending_work.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import AssetKey

# made of a release by a job of its own: a correction does not wait for it
AFTER_RELEASE = ("report", "publications")
SOURCE = "source"  # what is fetched, by a job of each source


def selection(
    keys: Iterable[AssetKey], tables: Collection[str], codes: Collection[str] | None = None
) -> list[AssetKey]:
    """Of all assets `keys` those that a run needs when `tables` have new deliveries and the KPIs `codes` are due (None: all KPIs)."""

    def needed(key: AssetKey) -> bool:
        level, name = key.path[0], key.path[-1]
        if level in ("zero", "showcase"):
            return name in tables
        if level in (*AFTER_RELEASE, SOURCE):
            return False
        return level != "kpi" or codes is None or name.replace("_", "-") in codes

    return [key for key in keys if needed(key)]
