"""What stands behind a number: its rows, their records as received, and a pack that can be checked without qala."""

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
    app,
    err,
    fail,
    home_of,
    out,
    print_json,
)
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.store.store import Store

if TYPE_CHECKING:
    from connectors.archive.archive import Archive

KpiArgument = Annotated[str, typer.Argument(help="KPI code: MGT02-1")]
NumberArgument = Annotated[
    str, typer.Argument(help="KPI code: MGT02-1; level or place; a sphere or an initiative: SAF, SAF04")
]
SettlementArgument = Annotated[str, typer.Argument(help="KATO or name: 710000000, Astana, Астана")]
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
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """The warehouse rows behind a number, each with the delivery and the record it comes from."""
    from connectors.archive.archive import ArchiveError
    from connectors.readers.headers import StructureError
    from kpi_definitions.catalogue import load_catalogues
    from pipelines.cli import screens
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.rows import contributing_rows, count_rows, fetch_rows, find_value
    from warehouse.release.release import FORMATS
    from warehouse.sql import literal
    from warehouse.store.sessions import reading

    if to is not None and (to.suffix not in FORMATS or not to.parent.is_dir()):
        raise fail(f"{to}: name a file in a folder that exists, ending in .csv or .parquet")
    if to is not None and source:
        raise fail(
            "records as received do not go into a table of rows; ask for them with --json, or leave out --source"
        )
    home = home_of(home_folder)
    try:
        with reading(home, hardened=False) as store:
            one = find_value(store, load_catalogues(home.catalogues), kpi.upper(), settlement, period, as_of)
            tables = contributing_rows(store, one, columns=whole)
            if to is not None:
                for found in tables:
                    path = to if len(tables) == 1 else to.with_name(f"{to.stem}-{found.table}{to.suffix}")
                    store.con.execute(f"COPY ({found.sql}) TO {literal(path)} ({FORMATS[path.suffix]})")
                    out.print(
                        f"{path}: {count_rows(store, found)['rows']:,} rows of {found.table}",
                        highlight=False,
                        soft_wrap=True,
                    )
                return
            answer = [
                {
                    "table": t.table,
                    "counts": count_rows(store, t),
                    "key": t.key,
                    "reads": t.reads,
                    "rows": fetch_rows(store, t, limit),
                }
                for t in tables
            ]
            if source:
                _add_sources(home, store, answer)
    except (UnknownError, StoreError, DocumentError, ArchiveError, StructureError) as error:
        raise fail(error) from None
    if as_json:
        print_json(
            {
                "kpi": one.compiled.kpi.code,
                "kato": one.kato,
                "period": one.period.id,
                "as_of_seq": one.seq,
                "tables": answer,
            }
        )
    else:
        screens.rows(out, answer)


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
    from kpi_definitions.catalogue import load_catalogues
    from warehouse.audit.evidence import EvidenceError, write_pack
    from warehouse.audit.evidence_level import level_label
    from warehouse.audit.evidence_rollup import Rollup, find_rollup
    from warehouse.audit.explain import UnknownError
    from warehouse.audit.levels import asks_for_level, explain_level
    from warehouse.audit.rows import FoundValue, find_value
    from warehouse.store.sessions import reading

    home, code = home_of(home_folder), kpi.upper()
    one: FoundValue | Rollup | dict[str, Any]
    try:
        with reading(home, hardened=False) as store:
            if asks_for_level(store, code):
                one = explain_level(store, code, settlement, period, catalogue, as_of)
                label = level_label(one)
            elif found := find_rollup(
                store, definitions := load_catalogues(home.catalogues), code, settlement, period, as_of
            ):
                one, label = found, found.label
            else:
                one = find_value(store, definitions, code, settlement, period, as_of)
                label = f"{code}-{one.kato}-{one.period.id}"
            if files and not isinstance(one, FoundValue):
                raise EvidenceError(
                    "files stand behind a cell: ask for --files with one settlement and one period of the KPI"
                )
            target = to or Path(f"evidence-{label.replace('/', '_')}")
            archive = Archive(home.archive)
            personal = (
                _personal(home, store, archive, one.answer["deliveries"])
                if files and isinstance(one, FoundValue)
                else {}
            )
            if personal and not with_personal:
                raise EvidenceError(
                    f"{len(personal)} of the delivered files hold personal data, which --files would hand out in the clear: "
                    f"{'; '.join(personal.values())}. Leave --files out, or add --with-personal if you may hand them on"
                )
            pack = write_pack(store, one, target, archive.open if files else None, personal)
    except (UnknownError, StoreError, DocumentError, EvidenceError, ArchiveError, OSError) as error:
        raise fail(error) from None
    out.print(
        f"wrote {pack.path}: {pack.files} files; README.md in it says how to check it", highlight=False, soft_wrap=True
    )
    out.print(f"ledger head {pack.head}", highlight=False, soft_wrap=True)
    for told in personal.values():
        out.print(f"personal data in the clear: {told}", highlight=False, soft_wrap=True, markup=False)


def _personal(home: Home, store: Store, archive: Archive, deliveries: list[dict[str, Any]]) -> dict[str, str]:
    """Of the files behind a number those with personal data, by the contracts or as they are archived: SHA-256 → file, table, system."""
    from connectors.ingest import load_source_contracts
    from connectors.receiving.deliver import encrypts

    sources = load_source_contracts(home, store.tables)
    return {
        d["sha256"]: f"{d['file_name']} ({d['table_name']}, {d['system']})"
        for d in deliveries
        if archive.encrypted(d["sha256"]) or encrypts(d["system"], store.tables[d["table_name"]], sources)
    }


def _add_sources(home: Home, store: Store, answer: list[dict[str, Any]]) -> None:
    """Put `source`, the record as received, and `source_header` into every row."""
    from connectors.archive.archive import Archive
    from connectors.ingest import load_source_contracts
    from connectors.mapping.source_contract import standard
    from connectors.readers.source_records import originals

    contracts = load_source_contracts(home, store.tables)
    for one in answer:
        for delivery_id in sorted({row["delivery_id"] for row in one["rows"]}):
            mine = [row for row in one["rows"] if row["delivery_id"] == delivery_id]
            delivery = store.con.execute(
                "SELECT sha256, system, file_name, contract_version FROM audit.delivery WHERE delivery_id = ?",
                [delivery_id],
            ).fetchone()
            assert delivery is not None
            sha256, system, file_name, version = delivery
            contract = contracts.get((system, one["table"])) or standard(store.tables[one["table"]])
            if contract.version != version:
                err.print(
                    f"{file_name} was read by version {version} of contract {contract.id}; shown by version {contract.version}",
                    highlight=False, soft_wrap=True,
                )  # fmt: skip
            found = originals(Archive(home.archive), sha256, contract, {row["row_no"] for row in mine}, file_name)
            for row in mine:
                row["source"], row["source_header"] = found[row["row_no"]].text, found[row["row_no"]].header
