"""What a look at a home goes by: its folder, the clock, what the look before remembered, and names of things for people.

Does not belong here: looking (the modules beside this one).
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from connectors.sources.pull import Known
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.compiler import columns_of
from kpi_definitions.documents import DocumentError
from kpi_definitions.model import Text
from pipelines.notifications.settings import Settings
from pipelines.notifications.trouble import digest
from warehouse.home.home import Home
from warehouse.messages.messages import LANGUAGES, and_more
from warehouse.tables.contracts import SHOWCASE, Table, sound_tables
from warehouse.tables.settlements import REGISTRY_FILES

_KPIS = 3  # that are named of a table


@dataclass
class Look:
    """One look at a home. `seen`: what finders remember from look to look, so that what did not change is not asked again."""

    home: Home
    now: dt.datetime
    settings: Settings
    seen: dict[str, str]
    begun: dt.datetime  # of the first look at this home
    known: Known | None = None  # deliveries, once the warehouse or the release was asked
    busy: bool = False  # another process writes the warehouse
    failed: bool = False  # whether a failed run or command stands: what it left undone is told by it
    causes: tuple[str, ...] = ()  # files that are told as what is wrong: what fails by one of them is told by it
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = Names(self.home)


class Names:
    """Names of tables, territories and KPIs in three languages. Read when something new is to be told."""

    def __init__(self, home: Home):
        self.home = home

    def table(self, name: str) -> Any:
        """As a part of a message."""
        found = self.tables.get(name)
        if found is None:
            return name
        title = {"en": found.title, "ru": found.title_ru, "kk": found.title_kk or found.title_ru}
        return {"code": "notification.named", "what": name, "name": title}

    def place(self, scope: str) -> Any:
        return self._places.get(scope, scope)

    def kpis(self, table: str) -> Any:
        """The KPIs over a table as a part of a message; nothing if there is none."""
        found = self._kpis.get(table, {})
        named = [
            {"code": "notification.named", "what": code, "name": name.model_dump()} for code, name in found.items()
        ]
        if not named:
            return ""
        return {"code": "notification.kpis", "kpis": and_more(named[:_KPIS], len(named) - _KPIS, "; ")}

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Those whose contracts are in order."""
        return sound_tables(SHOWCASE, self.home.showcase)[0]

    @cached_property
    def _places(self) -> Mapping[str, Mapping[str, str]]:
        found: dict[str, Mapping[str, str]] = {"KZ": {"en": "Kazakhstan", "ru": "Казахстан", "kk": "Қазақстан"}}
        for file, letters in (("regions.csv", 2), ("settlements.csv", 9)):  # a region goes by two digits
            with (REGISTRY_FILES / file).open(encoding="utf-8", newline="") as handle:
                for row in csv.DictReader(handle):
                    found[row["kato"][:letters]] = {one: row[f"name_{one}"] for one in LANGUAGES}
        return found

    @cached_property
    def _kpis(self) -> Mapping[str, Mapping[str, Text]]:
        try:
            lists = load_catalogues(self.home.catalogues).lists
        except DocumentError:  # told as a fault of the document
            return {}
        found: dict[str, dict[str, Text]] = {}
        for kpi in (kpi for one in lists for kpi in one.kpis):  # the newest version of a code is the last
            for table in {table for table, _ in columns_of(kpi)}:
                found.setdefault(table, {})[kpi.code] = kpi.name
        return found


def signature(paths: Iterable[Path]) -> str:
    """A text that changes when one of the files does, or is another; folders by what is in them."""
    found = []
    for path in sorted(paths):
        try:
            stat = path.stat()
            found.append(f"{path} {stat.st_mtime_ns} {stat.st_size} {stat.st_ino} {stat.st_mode}")
        except OSError as error:
            found.append(f"{path} {error.errno}")
    return digest("\n".join(found))
