"""What is known of the loads that Spark was told of: which file each is, and what Spark counted in it. Spark itself keeps nothing.

Does not belong here: the counting (spark.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from warehouse.engines.engine import EngineError, Load
from warehouse.engines.showcase import keep_json

_REMEDY = "bring the engine in step: qala engine load"


@dataclass(frozen=True)
class Counted:
    """What Spark counted in a file, and by what one sees that it is the same file still."""

    rows: int
    content: int
    size: int  # bytes
    changed: int  # nanoseconds since 1970


@dataclass(frozen=True)
class Taken:
    """A load that Spark was told of."""

    file: str
    counted: Counted | None = None

    @property
    def unchanged(self) -> bool:
        """Its rows were counted, and the file is as it was then."""
        counted = self.counted
        return counted is not None and state(self.file) == (counted.size, counted.changed)


@dataclass
class TakenTable:
    """Of one table: the columns of its files and its loads. Kept in a file of the engine's folder."""

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    loads: dict[str, Taken] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, table: str) -> TakenTable:
        """As it was last kept. Of what cannot be read nothing was taken."""
        path = folder / f"{table}.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            loads = {
                name: Taken(one["file"], None if one["counted"] is None else Counted(**one["counted"]))
                for name, one in data["loads"].items()
            }
            return cls(path, dict(data["columns"]), loads)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return cls(path)

    def keep(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        keep_json(
            self.path, {"columns": self.columns, "loads": {name: asdict(one) for name, one in self.loads.items()}}
        )

    def verified(self, load: Load) -> str:
        """The file of a load, if Spark counted in it what the warehouse wrote, and it is that file still. Raises EngineError."""
        taken = self.loads.get(load.name)
        if taken is None or taken.counted is None or taken.file != str(load.file.absolute()):
            raise EngineError(f"Spark has not counted load {load.name} of {load.table} in {load.file}; {_REMEDY}")
        counted = taken.counted
        if (counted.rows, counted.content) != (load.rows, load.content):
            raise EngineError(
                f"load {load.name} of {load.table} has {load.rows:,} rows (content {load.content}), and Spark counted {counted.rows:,} "
                f"({counted.content}) in {taken.file}; {_REMEDY}"
            )
        if not taken.unchanged:
            raise EngineError(f"{taken.file} is gone, or not as it was when Spark counted its rows; {_REMEDY}")
        return taken.file


def state(file: str) -> tuple[int, int] | None:
    """Size and time of the last change; None if it is not there."""
    try:
        said = Path(file).stat()
    except FileNotFoundError:
        return None
    return said.st_size, said.st_mtime_ns
