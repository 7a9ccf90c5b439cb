"""Helpers of the intake tests: a home to deliver files to, and a bench on which single files pass the first gate."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connectors import ingest
from connectors.archive.archive import Archive
from connectors.ingest_batch import TIME_ZONE
from connectors.mapping.read_contracts import parse_source
from connectors.mapping.source_contract import SourceContract, standard
from connectors.readers.headers import StructureError
from connectors.readers.readers import Readable, unpack
from connectors.row_gate import row_gate
from connectors.row_gate.emptied_cells import optional_headers
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.staging import drop_staging
from kpi_definitions.documents import read
from tests.support.homes import new_home
from tests.support.settlements import ASTANA
from warehouse.home.home import Home
from warehouse.home.keys import current
from warehouse.loading.deliveries import Receipt
from warehouse.messages.messages import rendered
from warehouse.periods import parse_period
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.contracts import Table

APPEAL_COLUMNS = (
    "appeal_id",
    "registered_at",
    "due_at",
    "first_answer_at",
    "closed_at",
    "status",
    "category",
    "channel",
    "is_emergency",
)
CRASH_COLUMNS = ("crash_id", "occurred_at", "district_id", "deaths_30d", "injured")
# a declared correction, and a file of fct_appeal on which it is right, by its rows
CORRECTION = Path(__file__).parents[2] / "examples" / "corrections" / "COR-2026-001.yaml"
CORRECTED_HEADER = "appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency\n"
CORRECTED_ROWS = {
    "A1": "A1,2026-01-05T08:00:00,2026-01-10T12:00:00,2026-01-06T12:00:00,2026-01-09T12:00:00,CLOSED,,,false\n",
    "A2": "A2,2026-01-05T08:00:00,2026-01-10T12:00:00,2026-01-06T12:00:00,2026-01-12T12:00:00,CLOSED,,,false\n",
    **{
        f"B{n}": f"B{n},2026-01-05T08:00:00,2026-01-20T12:00:00,2026-01-06T12:00:00,2026-01-09T12:00:00,CLOSED,,,false\n"
        for n in range(8)
    },
}


def appeal(number: int | str, **changes: str) -> dict[str, str]:
    """A faultless row of fct_appeal, as text."""
    row = {
        "appeal_id": f"A{number}",
        "registered_at": "2026-01-05 10:00:00",
        "due_at": "2026-01-20 10:00:00",
        "first_answer_at": "2026-01-06 09:30:00",
        "closed_at": "2026-01-07 18:00:00",
        "status": "CLOSED",
        "category": "roads",
        "channel": "phone",
        "is_emergency": "false",
    }
    return row | changes


def crash(number: int | str, **changes: str) -> dict[str, str]:
    """A faultless row of fct_crash, as text."""
    row = {"crash_id": f"C{number}", "occurred_at": "2026-01-05 10:00:00", "district_id": "D1", "deaths_30d": "0"}
    return row | {"injured": "1"} | changes


def text(rows: Sequence[Mapping[str, str]], columns: Sequence[str] | None = None, delimiter: str = ",") -> str:
    """Rows as CSV with LF; the columns are those of the first row unless given."""
    names = list(columns or rows[0])
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    return target.getvalue()


def appeals(count: int, first: int = 1, **changes: str) -> str:
    """A faultless file of fct_appeal."""
    return text([appeal(n, **changes) for n in range(first, first + count)])


def crashes(count: int, first: int = 1, **changes: str) -> str:
    """A faultless file of fct_crash."""
    return text([crash(n, **changes) for n in range(first, first + count)])


def contract_text(
    system: str, table: str, properties: str, *, settings: Mapping[str, str] | None = None, name: str | None = None
) -> str:
    """A source contract; `properties` is the YAML of its columns, indented by six."""
    lines = [
        f"  - {{property: {key}, value: {value}}}" for key, value in ({"system": system} | dict(settings or {})).items()
    ]
    return (
        "apiVersion: v3.1.0\nkind: DataContract\n"
        f"id: test.{name or system}.{table}\nname: {name or system}\nversion: 1.0.0\nstatus: active\n"
        "customProperties:\n"
        + "\n".join(lines)
        + f"\nschema:\n  - name: {table}\n    logicalType: object\n    properties:\n"
        + properties
    )


@dataclass
class Desk:
    """A home in a folder: files are delivered to it and taken in as a run would do. `bare`: without a warehouse yet."""

    root: Path
    bare: bool = False

    def __post_init__(self) -> None:
        self.home = Home(self.root)
        if not self.bare and not self.home.warehouse.exists():
            new_home(self.root)
        self.archive = Archive(self.home.archive)
        self.home.contracts.mkdir(parents=True, exist_ok=True)
        self._files = 0

    def add_contract(self, content: str, name: str = "source") -> None:
        (self.home.contracts / f"{name}.odcs.yaml").write_text(content, encoding="utf-8")

    def deliver(
        self,
        content: str | bytes,
        table: str = "fct_appeal",
        *,
        system: str = "standard",
        scope: str = ASTANA,
        period: str = "2026-01",
        name: str = "",
        rows: int | None = None,
    ) -> Receipt:
        self._files += 1
        file = self.root / "outbox" / (name or f"file{self._files}.csv")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.archive.receive(file, table=table, system=system, scope=scope, period=period, declared_rows=rows)

    def forget(self, store: Store) -> None:
        """As good as a new home, at a tenth of the cost; the ledger goes on."""
        tables = [f"{place}.{name}" for place in ("showcase", "history") for name in store.tables]
        tables += ["kpi.value", "kpi.rollup", "kpi.computation"]
        for table in (
            *tables,
            "audit.delivery",
            "audit.rejected_row",
            "audit.check_result",
            "audit.delivery_profile",
            "audit.incident",
        ):
            store.con.execute(f"DELETE FROM {table}")
        for file in (*self.home.contracts.iterdir(), *self.home.archive.glob("receipts/*/*")):
            file.unlink()

    @contextmanager
    def open(self) -> Iterator[Store]:
        with writing(self.home) as store:
            yield store

    def take(self, store: Store, *tables: str, months: Sequence[str] | None = None) -> ingest.IngestReport:
        """Register what is pending and decide on it; by default of every table that has deliveries waiting. Messages come in English."""
        sources = ingest.load_source_contracts(self.home, store.tables)
        ingest.register_pending(store, self.archive)
        waiting = query(store, "SELECT DISTINCT table_name FROM audit.delivery WHERE state = 'received' ORDER BY 1")
        whole = ingest.IngestReport()
        for name in tables or [row[0] for row in waiting]:
            report = ingest.ingest_table(store, self.archive, store.tables[name], sources, months)
            whole.outcomes += [replace(o, reason=rendered(o.reason, "en")) for o in report.outcomes]
            whole.findings += [
                replace(f, observed=english(f.observed), expected=english(f.expected)) for f in report.findings
            ]
        return whole


def english(text: str) -> str:
    """What was recorded, in English."""
    return str(rendered(text, "en"))


def query(store: Store, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Rows of a query; what is recorded as a message comes as its English sentence."""
    rows = store.con.execute(sql, list(parameters)).fetchall()
    return [tuple(rendered(v, "en") if isinstance(v, str) else v for v in row) for row in rows]


def states(store: Store) -> dict[int, str]:
    """delivery_id → state"""
    return dict(query(store, "SELECT delivery_id, state FROM audit.delivery ORDER BY delivery_id"))


def contents(store: Store, *schemas: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the schemas, in the same order each time."""
    names = query(
        store,
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name = ANY(?) ORDER BY 1",
        [list(schemas or ("showcase", "history"))],
    )
    return {name: query(store, f"SELECT * FROM {name} ORDER BY ALL") for (name,) in names}


@dataclass
class Bench:
    """The readers and the first gate on an open warehouse, without judging and loading."""

    store: Store
    root: Path
    time_zone: str = TIME_ZONE

    def __post_init__(self) -> None:
        self.archive = Archive(self.root / "archive")
        self._number = 0

    def table(self, name: str) -> Table:
        return self.store.tables[name]

    def contract(self, content: str) -> SourceContract:
        self._number += 1
        file = self.root / f"contract{self._number}.odcs.yaml"
        file.write_text(content, encoding="utf-8")
        return parse_source(read(file), self.store.tables)

    def unpack(self, content: str | bytes, contract: SourceContract, name: str = "file.csv") -> Readable:
        self._number += 1
        file = self.root / f"in{self._number}"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        receipt = self.archive.receive(file, table=contract.table, system="x", scope=ASTANA, period="2026-01")
        scratch = self.root / f"scratch{self._number}"
        scratch.mkdir()
        spare = optional_headers(self.table(contract.table), contract)
        return unpack(self.archive, receipt.sha256, contract, scratch, name, spare)

    def stage(
        self,
        *contents: str | bytes,
        table: str = "fct_appeal",
        contract: SourceContract | None = None,
        contracts: Sequence[SourceContract] = (),
        scopes: Sequence[str] = (),
        period: str = "2026-01",
    ) -> dict[int, StructureError]:
        """Pass files through the first gate as deliveries 1, 2, …; the view `work_staged_row` is there afterwards."""
        chosen = contracts or [contract or standard(self.table(table))] * len(contents)
        incoming = [
            Incoming(
                number,
                scopes[number - 1] if scopes else ASTANA,
                parse_period(period).end.isoformat(),
                f"file{number}.csv",
                used,
                None,
                self.unpack(content, used),
            )
            for number, (content, used) in enumerate(zip(contents, chosen, strict=True), 1)
        ]
        drop_staging(self.store.con)
        return row_gate.stage(
            self.store.con, self.table(table), incoming, self.time_zone, current(self.store.home, "pseudonym")
        )

    def accepted(self, columns: str = "row_no") -> list[Any]:
        """Accepted rows in order of delivery and record; single values if one column is asked for."""
        rows = query(
            self.store, f"SELECT {columns} FROM work_staged_row WHERE broken IS NULL ORDER BY delivery_id, row_no"
        )
        return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows

    def broken(self) -> list[tuple[int, str]]:
        """(row number, rule) of the rejected rows."""
        return query(
            self.store,
            "SELECT row_no, broken FROM work_staged_row WHERE broken IS NOT NULL ORDER BY delivery_id, row_no",
        )

    def cells(self) -> list[tuple[int, str, str, str]]:
        """(row number, column, rule, text) of the cells left empty in rows that pass."""
        return query(
            self.store,
            "SELECT row_no, c.column_name, c.rule, c.raw FROM (SELECT delivery_id, row_no, unnest(emptied) AS c FROM work_staged_row WHERE broken IS NULL) "
            "ORDER BY delivery_id, row_no, 2",
        )

    def counts(self) -> dict[int, tuple[int, int]]:
        """delivery → (accepted, rejected)"""
        rows = query(
            self.store,
            "SELECT delivery_id, count(*) FILTER (WHERE broken IS NULL), count(broken) FROM work_staged_row GROUP BY ALL",
        )
        return {number: (accepted, rejected) for number, accepted, rejected in rows}

    def raw(self, row_no: int) -> str:
        rows = query(self.store, "SELECT raw FROM work_staged_row WHERE row_no = ?", [row_no])
        assert len(rows) == 1
        return str(rows[0][0])
