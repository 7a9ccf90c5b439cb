"""Source contracts are read once, and again when a file changes, goes, or the tables are others."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.mapping.read_contracts import SHIPPED, load_sources
from kpi_definitions.documents import DocumentError
from warehouse.tables.contracts import load_tables

APPEALS = ("ikomek109", "fct_appeal")


def test_what_was_read_holds_until_a_file_or_a_table_changes(tmp_path: Path) -> None:
    tables, path = load_tables(), tmp_path / "appeals.odcs.yaml"
    shutil.copy(SHIPPED / "ikomek109" / "appeals.odcs.yaml", path)
    first = load_sources(tables, [tmp_path])
    assert load_sources(tables, [tmp_path])[APPEALS] is first.pop(APPEALS), "and what a caller does to it is his own"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("version: ", "version: 9", 1), encoding="utf-8")
    changed = load_sources(tables, [tmp_path])[APPEALS]
    assert changed.version.startswith("9")
    of_other_tables = {**tables, "fct_appeal": replace(tables["fct_appeal"], version="77")}
    assert load_sources(of_other_tables, [tmp_path])[APPEALS] is not changed
    path.write_text(text.replace("name: fct_appeal", "name: fct_nowhere", 1), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(DocumentError, match="fct_nowhere"):
            load_sources(tables, [tmp_path])
    path.unlink()
    assert load_sources(tables, [tmp_path]) == {}
