"""Tables of a publication that are CSV files: which they are, and what their columns hold, for whoever describes them.

Belongs here: the release's own exports written again, with a byte order mark for spreadsheets where one is asked for. Does not belong here:
formats of description (data_package.py, csv_on_the_web.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from warehouse.publications.figures import Figures, Labels, said
from warehouse.publications.open_sdg import COLUMNS
from warehouse.publications.sdmx_structures import PARTS
from warehouse.release.exports import EXPORTS, export

BOM = b"\xef\xbb\xbf"
# key of each export; scorecard.csv: an assessment is frozen and has a version of its own, so no other is shown as of an earlier sequence
_KEYS: Mapping[str, tuple[str, ...]] = {
    "kpi_values.csv": ("kpi_code", "kato", "period_id"),
    "kpi_rollups.csv": ("kpi_code", "area_kind", "area", "period_id"),
    "scorecard.csv": ("year", "catalogue_id", "kato"),
    "data_passport.csv": ("id",),
    "case_passports.csv": ("kpi_code", "definition_version"),
}
_NOT_AS_OF = ("scorecard.csv",)
# type of DuckDB → that of columns here: string, number, integer, boolean, date
_TYPES = {"DOUBLE": "number", "INTEGER": "integer", "BIGINT": "integer", "BOOLEAN": "boolean", "DATE": "date"}
_SDMX_TYPES = {"Double": "number", "Decimal": "number", "Long": "integer", "Integer": "integer"}
_OPEN_SDG_TYPES = {"Year": "integer", "Value": "number"}


@dataclass(frozen=True)
class Column:
    """A column of a CSV file; `type`: string, number, integer, boolean or date."""

    name: str
    type: str
    titles: Labels
    required: bool = False
    description: str | None = None


@dataclass(frozen=True)
class Table:
    """A CSV file with a header; `path`: in the publication's folder."""

    path: str
    columns: Sequence[Column]
    key: tuple[str, ...] = ()


def write_exports(figures: Figures, folder: Path, *, bom: bool) -> Iterator[Table]:
    """Write the release's CSV exports as they are, or as they were as of the edition's sequence, below a folder."""
    for name, query in EXPORTS.items():
        if not name.endswith(".csv") or (figures.edition.earlier and name in _NOT_AS_OF):
            continue
        path = folder / "csv" / name
        path.parent.mkdir(exist_ok=True)
        export(figures.store.con, name, path)
        if bom:
            path.write_bytes(BOM + path.read_bytes())
        comments = _comments(figures, query)
        described = figures.store.con.execute(f"DESCRIBE {query}").fetchall()
        columns = [
            Column(column, _type(sql_type), {}, column in _KEYS[name], comments.get(column))
            for column, sql_type, *_ in described
        ]
        yield Table(f"csv/{name}", columns, _KEYS[name])


def _comments(figures: Figures, query: str) -> dict[str, str]:
    """Column → what the released file says that it holds, of the view or table that a query reads."""
    relation = query.partition("FROM ")[2].split()[0]
    schema, _, name = relation.rpartition(".")
    sql = "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? AND comment IS NOT NULL"
    return dict(figures.store.con.execute(sql, [schema or "main", name]).fetchall())


def _type(sql_type: str) -> str:
    return "number" if sql_type.startswith("DECIMAL") else _TYPES.get(sql_type, "string")


def sdmx_table(path: str, version: str) -> Table:
    """A file of SDMX-CSV."""
    first = ("DATAFLOW",) if version == "1.0" else ("STRUCTURE", "STRUCTURE_ID", "ACTION")
    columns = [Column(name, "string", {}, True) for name in first]
    for part in PARTS:
        titles = said(f"publications.concept_{part.id.lower()}")
        columns.append(Column(part.id, _SDMX_TYPES.get(part.type, "string"), titles, part.required))
    return Table(path, columns, tuple(part.id for part in PARTS if part.role == "Dimension"))


def open_sdg_table(path: str) -> Table:
    """A file of figures of Open SDG."""
    return Table(
        path, [Column(name, _OPEN_SDG_TYPES.get(name, "string"), {}, name in _OPEN_SDG_TYPES) for name in COLUMNS]
    )
