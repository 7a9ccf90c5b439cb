"""Patch in what a store needs; for PostgreSQL once Dagster has imported it, which it does when it opens such a store."""

from __future__ import annotations

import os
import sys

from pipelines.event_log import sqlite

_BATCH = 1000  # events


def patch() -> None:
    """Patch it in; any number of times."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_BATCH))
    sqlite.patch()
    if "dagster_postgres" in sys.modules:
        from pipelines.event_log import postgresql

        postgresql.patch()
