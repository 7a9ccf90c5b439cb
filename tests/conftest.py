"""Fixtures that every test may use. Helpers that put rows into a warehouse are in `tests/support.py`."""

from __future__ import annotations

import os

from pathlib import Path

import pytest

from warehouse.store import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty installation; the warehouse file comes into being with the first `writing(home)`."""
    return Home(tmp_path / "home")


os.environ["COLUMNS"] = (
    "200"  # rich reads it once, when the command line is imported: tables are as wide in every worker
)
