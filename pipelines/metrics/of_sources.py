"""How the sources of a home stand by their regulations, in numbers. Asked again when a pull, a run or a new day may have changed it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from connectors.sources.pull import Outcome
from pipelines.metrics import of_release
from pipelines.metrics.described import Sample
from pipelines.source_pulls import ExtractStanding, sources_of
from warehouse.home.home import Home

_DAY = 86400.0  # seconds


def identity(home: Home) -> tuple[object, ...]:
    """Another one when something has changed by which a source may stand otherwise."""
    folders = (home.sources, home.pulls, home.contracts, home.showcase, home.archive / "receipts" / "pending")
    found = [
        (str(p), p.stat().st_mtime_ns) for folder in folders if folder.is_dir() for p in (folder, *folder.glob("*.*"))
    ]
    return (*of_release.identity(home), *sorted(found))


def measured(home: Home) -> Iterator[Sample]:
    """Raises DocumentError for source contracts at fault, StoreError for the release."""
    if not home.sources.is_dir():
        return
    found = sources_of(home)
    yield "qala_source_files_faulty", (), len({fault.path for fault in found.faults})
    standings: dict[str, list[ExtractStanding]] = {name: [] for name in found.connections}
    for one in found.standings():
        standings[one.source].append(one)
    for name, own in standings.items():
        late = [days for one in own if (days := one.standing.days_late(found.setting.today))]
        yield "qala_source_extracts", (name,), len(own)
        yield "qala_source_extracts_overdue", (name,), len(late)
        yield "qala_source_overdue_seconds", (name,), max(late, default=0) * _DAY
        yield (
            "qala_source_extracts_failing",
            (name,),
            sum(one.note is not None and one.note.outcome in _ERRORS for one in own),
        )
        moments = {
            "looked": [one.note.looked for one in own if one.note and one.note.looked],
            "delivered": [one.last.when for one in own if one.last],
        }
        for what, texts in moments.items():
            if texts:
                newest = max(dt.datetime.fromisoformat(text) for text in texts)
                yield f"qala_source_{what}_timestamp_seconds", (name,), newest.timestamp()


_ERRORS = (Outcome.FAILED, Outcome.REFUSED)
