"""Commands that show what a number is made of: its rows, their records as received, and a pack that can be checked without qala."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import (
    AsOfOption,
    CatalogueOption,
    HomeOption,
    JsonOption,
    LanguageOption,
    app,
    err,
    fail,
    home_of,
    out,
    print_json,
)
from pipelines.cli.completions import kpi_codes, settlement_names
from warehouse.errors import StoreError

if TYPE_CHECKING:
    from connectors.archive.archive import Archive
    from warehouse.audit.evidence_rollup import Rollup
    from warehouse.audit.rows import ContributingRows, FoundValue
    from warehouse.home.home import Home
    from warehouse.store.store import Store

KpiArgument = Annotated[str, typer.Argument(help="KPI code: MGT02-1", autocompletion=kpi_codes)]
NumberArgument = Annotated[
    str,
    typer.Argument(
        help="KPI code: MGT02-1; level or place; a sphere or an initiative: SAF, SAF04", autocompletion=kpi_codes
    ),
]
SettlementArgument = Annotated[
    str, typer.Argument(help="KATO or name: 710000000, Astana, Астана", autocompletion=settlement_names)
]
PeriodArgument = Annotated[str, typer.Argument(help="2026-01, 2026-Q1, 2026, or any run of months: 2026-01/2026-06")]


@app.command()
def rows(
    kpi: KpiArgument,
    settlement: SettlementArgument,
    period: PeriodArgument,
    source: Annotated[bool, typer.Option("--source", help="With each row its record as received")] = False,
    whole: Annotated[
        bool, typer.Option("--all-columns", help="Every column of the tables, not those alone that the KPI reads")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of each table shown")] = 20,
    to: Annotated[Path | None, typer.Option("--to", help="Write all rows to FILE.csv or FILE.parquet")] = None,
    as_of: AsOfOption = None,
    language: LanguageOption = "",
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """The warehouse rows behind a number, each with the delivery and the record it comes from."""
    from connectors.archive.archive import ArchiveError
    from connectors.readers.headers import StructureError
    from kpi_definitions.catalogue import load_catalogues
    from pipelines.cli.screens.common import Words
    from pipelines.cli.screens.rows import show_rows
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.rows import contributing_rows, find_value
    from warehouse.release.exports import FORMATS
    from warehouse.store.sessions import reading

    if to is not None and (to.suffix not in FORMATS or not to.parent.is_dir()):
        raise fail(f"{to}: name a file in a folder that exists, ending in .csv or .parquet")
    if to is not None and source:
        raise fail(
            "records as received do not go into a table of rows; ask for them with --json, or leave out --source"
        )
    home = home_of(home_folder)
    try:
        with reading(home, hardened=False, with_views=False) as store:
            value = find_value(store, load_catalogues(home.catalogues), kpi, settlement, period, as_of)
            tables = contributing_rows(store, value, columns=whole)
            if to is not None:
                _export_rows(store, tables, to)
                return
            answer = [_described_rows(store, rows, limit) for rows in tables]
            if source:
                _add_sources(home, store, answer)
    except (UnknownError, StoreError, DocumentError, ArchiveError, StructureError) as error:
        raise fail(error) from None
    if as_json:
        described = {"kpi": value.compiled.kpi.code, "kato": value.kato, "period": value.period.id}
        print_json({**described, "as_of_seq": value.seq, "tables": answer})
    else:
        show_rows(out, answer, Words(language))


def _described_rows(store: Store, rows: ContributingRows, limit: int) -> dict[str, Any]:
    """The first rows of a table, with counts of all of them."""
    from warehouse.audit.rows import count_rows, fetch_rows

    counts = count_rows(store, rows)
    return {
        "table": rows.table,
        "counts": counts,
        "key": rows.key,
        "reads": rows.reads,
        "rows": fetch_rows(store, rows, limit),
    }


def _export_rows(store: Store, tables: list[ContributingRows], to: Path) -> None:
    """Write all rows to `to`; of several tables each to a file of its own, named after the table."""
    from warehouse.audit.rows import count_rows
    from warehouse.release.exports import FORMATS
    from warehouse.sql import literal

    for rows in tables:
        path = to if len(tables) == 1 else to.with_name(f"{to.stem}-{rows.table}{to.suffix}")
        store.con.execute(f"COPY ({rows.sql}) TO {literal(path)} ({FORMATS[path.suffix]})")
        count = count_rows(store, rows)["rows"]
        out.print(f"{path}: {count:,} rows of {rows.table}", highlight=False, soft_wrap=True)


@app.command()
def evidence(
    kpi: NumberArgument,
    settlement: SettlementArgument,
    period: PeriodArgument,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="FOLDER or FILE.zip; else evidence-KPI-KATO-PERIOD here", show_default=False),
    ] = None,
    files: Annotated[bool, typer.Option("--files", help="With the delivered files as received")] = False,
    with_personal: Annotated[
        bool, typer.Option("--with-personal", help="With --files: also those that hold personal data, in the clear")
    ] = False,
    as_of: AsOfOption = None,
    catalogue: CatalogueOption = None,
    home_folder: HomeOption = None,
) -> None:
    """A pack with everything behind a number, a sum over a region or a year, a level or a place, which an auditor checks without qala."""
    from connectors.archive.archive import Archive, ArchiveError
    from warehouse.audit.evidence import EvidenceError, write_pack
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.rows import FoundValue
    from warehouse.store.sessions import reading

    home = home_of(home_folder)
    try:
        with reading(home, hardened=False) as store:
            number, label = _find_number(home, store, kpi, settlement, period, as_of, catalogue)
            if files and not isinstance(number, FoundValue):
                raise EvidenceError(
                    "files stand behind a cell: ask for --files with one settlement and one period of the KPI"
                )
            archive = Archive(home.archive)
            personal = {}
            if files and isinstance(number, FoundValue):
                personal = _personal(home, store, archive, number.answer["deliveries"])
            if personal and not with_personal:
                raise EvidenceError(
                    f"{len(personal)} of the delivered files hold personal data, which --files would hand out in the clear: "
                    f"{'; '.join(personal.values())}. Leave --files out, or add --with-personal if you may hand them on"
                )
            target = to or Path(f"evidence-{label.replace('/', '_')}")
            pack = write_pack(store, number, target, archive.open if files else None, personal)
    except (UnknownError, StoreError, DocumentError, EvidenceError, ArchiveError, OSError) as error:
        raise fail(error) from None
    out.print(
        f"wrote {pack.path}: {pack.files} files; README.md in it says how to check it", highlight=False, soft_wrap=True
    )
    out.print(f"ledger head {pack.head}", highlight=False, soft_wrap=True)
    for file in personal.values():
        out.print(f"personal data in the clear: {file}", highlight=False, soft_wrap=True, markup=False)


def _find_number(
    home: Home, store: Store, code: str, settlement: str, period: str, as_of: int | None, catalogue: str | None
) -> tuple[FoundValue | Rollup | dict[str, Any], str]:
    """What a pack is asked of, and a label for its file: a level and a place, a roll-up, or a value."""
    from kpi_definitions.catalogue import load_catalogues
    from warehouse.audit.evidence_level import level_label
    from warehouse.audit.evidence_rollup import find_rollup
    from warehouse.audit.levels import asks_for_level, explain_level
    from warehouse.audit.rows import find_value

    if asks_for_level(store, code.upper()):
        level = explain_level(store, code.upper(), settlement, period, catalogue, as_of)
        return level, level_label(level)
    definitions = load_catalogues(home.catalogues)
    rollup = find_rollup(store, definitions, code, settlement, period, as_of)
    if rollup is not None:
        return rollup, rollup.label
    value = find_value(store, definitions, code, settlement, period, as_of)
    return value, f"{value.compiled.kpi.code}-{value.kato}-{value.period.id}"


def _personal(home: Home, store: Store, archive: Archive, deliveries: list[dict[str, Any]]) -> dict[str, str]:
    """Delivered files with personal data, by their contracts or because the archive keeps them encrypted: SHA-256 → file, table, system."""
    from connectors.ingest import load_source_contracts
    from connectors.receiving.deliver import encrypts

    sources = load_source_contracts(home, store.tables)
    return {
        d["sha256"]: f"{d['file_name']} ({d['table_name']}, {d['system']})"
        for d in deliveries
        if archive.encrypted(d["sha256"]) or encrypts(d["system"], store.tables[d["table_name"]], sources)
    }


def _add_sources(home: Home, store: Store, answer: list[dict[str, Any]]) -> None:
    """Put into every row its records as received (`source`), their numbers (`source_records`), header and places (`source_where`)."""
    from connectors.archive.archive import Archive
    from connectors.ingest import load_source_contracts
    from connectors.ingest_batch import TIME_ZONE
    from connectors.mapping.source_contract import standard
    from connectors.readers.source_records import originals
    from connectors.row_gate.records_behind import Delivered, records_behind

    contracts, archive = load_source_contracts(home, store.tables), Archive(home.archive)
    for one in answer:
        table = store.tables[one["table"]]
        for delivery_id in sorted({row["delivery_id"] for row in one["rows"]}):
            mine = [row for row in one["rows"] if row["delivery_id"] == delivery_id]
            delivery = store.con.execute(
                "SELECT system, contract_version, sha256, file_name, scope, period_start, period_end FROM audit.delivery "
                "WHERE delivery_id = ?",
                [delivery_id],
            ).fetchone()
            assert delivery is not None
            system, version, delivered = delivery[0], delivery[1], Delivered(*delivery[2:])
            contract = contracts.get((system, table.name)) or standard(table)
            if contract.version != version:
                err.print(
                    f"{delivered.file_name} was read by version {version} of contract {contract.id}; shown by version {contract.version}",
                    highlight=False,
                    soft_wrap=True,
                )
            numbers = records_behind(archive, table, contract, delivered, {row["row_no"] for row in mine}, TIME_ZONE)
            wanted = {number for behind in numbers.values() for number in behind}
            found = originals(archive, delivered.sha256, contract, wanted, delivered.file_name)
            for row in mine:
                its = [found[number] for number in numbers[row["row_no"]]]
                row["source"] = "".join(_whole_line(record.text) for record in its) if len(its) > 1 else its[0].text
                row["source_header"], row["source_records"] = its[0].header, numbers[row["row_no"]]
                row["source_where"] = "; ".join(record.where for record in its if record.where)


def _whole_line(text: str) -> str:
    """A record that another can follow."""
    return text if text.endswith(("\n", "\r")) else f"{text}\n"
