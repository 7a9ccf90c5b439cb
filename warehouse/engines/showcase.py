"""The showcase as files: which there are, told by a manifest that is written last. Readers read what it names, and nothing else.

Does not belong here: writing the files (showcase_files.py), handing them to an engine (step.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.engines.engine import EngineError, Load

_MANIFEST, _FORMAT = "manifest.json", 1


@dataclass(frozen=True)
class Showcase:
    """The loads that hold every row of showcase and history as of a ledger sequence."""

    folder: Path
    seq: int  # of the newest ledger entry when they were written
    head: str  # its hash: of which warehouse they are
    columns: Mapping[str, Mapping[str, str]]  # table → column of its files, in their order → SQL type of the warehouse
    loads: tuple[Load, ...]  # by table and month

    def of(self, table: str) -> tuple[Load, ...]:
        return tuple(load for load in self.loads if load.table == table)


def read_showcase(folder: Path) -> Showcase:
    """The files as they were last written. Raises EngineError if there are none."""
    if found := written(folder):
        return found
    raise EngineError(
        f"{folder} holds no showcase for an engine, or one of another version of qala; write it: qala engine load"
    )


def written(folder: Path) -> Showcase | None:
    """What the manifest says; None if there is none that this version of qala wrote."""
    try:
        data = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            return None
        loads = tuple(
            Load(table, one["month"], one["seq"], folder / one["file"], one["rows"], one["content"])
            for table, said in data["tables"].items()
            for one in said["loads"]
        )
        columns = {table: dict(said["columns"]) for table, said in data["tables"].items()}
        return Showcase(folder, data["seq"], data["head"], columns, loads)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged: everything is written anew
        return None


def write_manifest(showcase: Showcase) -> None:
    """Put the manifest in place, after the files that it names are on the disk."""
    tables: dict[str, Any] = {
        name: {"columns": dict(columns), "loads": []} for name, columns in showcase.columns.items()
    }
    for load in showcase.loads:
        entry = {"month": load.month, "seq": load.seq, "rows": load.rows, "content": load.content}
        tables[load.table]["loads"].append(entry | {"file": load.file.relative_to(showcase.folder).as_posix()})
    keep_json(
        showcase.folder / _MANIFEST, {"format": _FORMAT, "seq": showcase.seq, "head": showcase.head, "tables": tables}
    )


def keep_json(file: Path, data: Mapping[str, Any]) -> None:
    """A JSON file that is there whole or as it was, and on the disk."""
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("w", encoding="utf-8") as handle:
        json.dump(data, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    fresh.replace(file)
