"""Evidence packs as an auditor checks them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb


def recompute(pack: Path) -> dict[str, Any]:
    """The last row of recompute.sql, run in this process."""
    before = Path.cwd()
    os.chdir(pack)
    try:
        with duckdb.connect() as con:
            cursor = con.execute((pack / "recompute.sql").read_text(encoding="utf-8"))
            row = cursor.fetchone()
            assert row is not None
            return dict(zip([d[0] for d in cursor.description or ()], row, strict=True))
    finally:
        os.chdir(before)
