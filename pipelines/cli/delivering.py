"""`qala deliver`: an extract into the archive, or taken back. Does not belong here: what may be declared of one (connectors/receiving/deliver.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, app, err, fail, home_of, out
from pipelines.cli.completions import settlement_names, table_names
from warehouse.errors import StoreError
from warehouse.home.home import Home

if TYPE_CHECKING:
    from connectors.receiving.deliver import DeclaredDelivery
    from warehouse.loading.deliveries import Receipt


@app.command()
def deliver(
    file: Annotated[
        list[Path] | None,
        typer.Argument(
            help="The extract as it is: CSV, XLSX, XLS, ODS, JSON, XML or Parquet, plain or in gzip, zip or zstd; several files are one delivery"
        ),
    ] = None,
    table: Annotated[
        str, typer.Option("--table", "-t", help="Showcase table it feeds, e.g. fct_appeal", autocompletion=table_names)
    ] = "",
    period: Annotated[
        str, typer.Option("--period", "-p", help="2026-01, 2026-Q1, 2026-S1, 2026 or 2026-01/2026-06")
    ] = "",
    settlement: Annotated[
        str,
        typer.Option(
            "--settlement",
            "-s",
            help="KATO or name of the settlement: 710000000, Astana, Астана; two digits or name: a region; KZ: the country",
            autocompletion=settlement_names,
        ),
    ] = "",
    system: Annotated[
        str,
        typer.Option(
            "--system", help="Source system whose contract the file follows; left out: the standard exchange format"
        ),
    ] = "standard",
    rows: Annotated[int | None, typer.Option("--rows", min=0, help="Rows the sender says the file has")] = None,
    withdraw: Annotated[
        str | None, typer.Option("--withdraw", help="Take back a receipt that waits, instead of delivering a file")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who takes it back; left out: the user at work")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why it is taken back")] = "",
    home_folder: HomeOption = None,
) -> None:
    """Archive an extract; the next run takes it in. Works while a run goes on. Or take a receipt back (--withdraw)."""
    from connectors.archive.archive import ArchiveError
    from connectors.receiving.deliver import DeclaredDelivery, DeliveryError
    from pipelines.error_messages import message_for
    from warehouse.home.begun import is_home

    home = home_of(home_folder, begins=withdraw is None)
    if withdraw is not None:
        _take_back(home, withdraw, by, reason)
        return
    if not all(given := (file, table, period, settlement)) or not file:
        lacking = (how for how, value in zip(_NEEDED, given, strict=True) if not value)
        raise fail(f"a delivery lacks {'; and '.join(lacking)}")
    begins = not is_home(home.root)
    try:
        declared = partial(DeclaredDelivery, table=table, period=period, system=system, rows=rows)
        receipt = _taken(home, file, declared, settlement)
    except (DeliveryError, DocumentError, ArchiveError) as error:
        raise fail(error) from None
    except OSError as error:
        raise fail(f"{message_for(error) or error}; nothing was taken in") from None
    if begins:
        _say_begun(home, receipt)
    _print_receipt(receipt, period)


_NEEDED = (
    "FILE, the extract",
    "--table, which the file is for, as in --table fct_appeal (all: docs/reference/data-dictionary.md)",
    "--period, of which it is, as in --period 2026-01",
    "--settlement, of which it is, by name or code, as in --settlement Павлодар (all: qala settlements)",
)


def _taken(home: Home, files: Sequence[Path], declared: Callable[..., DeclaredDelivery], settlement: str) -> Receipt:
    """The receipt of files as one delivery; `settlement`: its code or name. Raises DeliveryError, OSError."""
    from connectors.archive.archive import Archive
    from connectors.ingest import load_source_contracts
    from connectors.receiving.deliver import declared_scope, deliver, together
    from warehouse.home.scratch import scratch
    from warehouse.tables.home_tables import tables_of

    tables = tables_of(home)
    with scratch(home.scratch if len(files) > 1 else None) as place:
        one = declared(file=together(files, place), scope=declared_scope(settlement))
        return deliver(Archive(home.archive), one, tables, load_source_contracts(home, tables), _warn)


def _warn(said: str) -> None:
    err.print(
        f"[yellow]taken in, but the run will refuse it:[/yellow] {escape(said)}. Mend the contract before the run, or take it back: "
        "qala deliver --withdraw RECEIPT",
        highlight=False,
        soft_wrap=True,
    )


def _say_begun(home: Home, receipt: Receipt) -> None:
    """That a home was begun: whoever mistyped the one that is meant sees it at once."""
    from warehouse.home.begun import homes_near

    near = homes_near(home.root)
    back = f"; if {near} was meant: qala deliver --withdraw {receipt.receipt_id} --home {home.root}" if near else ""
    err.print(f"[yellow]a new home begins:[/yellow] {escape(f'{home.root}{back}')}", highlight=False, soft_wrap=True)


def _print_receipt(receipt: Receipt, period: str) -> None:
    from connectors.personal_data.safe_names import safe_name
    from warehouse.kpi_values.outstanding import running_month
    from warehouse.periods import parse_period
    from warehouse.tables.settlements import settlements

    month, place = parse_period(period).closing_month, settlements().get(receipt.scope, receipt.scope)
    out.print(
        f"received {safe_name(receipt.file_name)}: {receipt.bytes:,} bytes, SHA-256 {receipt.sha256}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    out.print(
        f"receipt {receipt.receipt_id}; next: qala run   (month {month}, {place})",
        highlight=False,
        soft_wrap=True,
    )
    if month >= running_month():
        out.print(f"{month} has not ended: what is delivered for it waits till then", highlight=False)


def _take_back(home: Home, receipt_id: str, by: str, reason: str) -> None:
    """Take a receipt back while no run may be reading it."""
    from connectors.archive.archive import Archive, ArchiveError
    from connectors.personal_data.safe_names import safe_name
    from warehouse.home.account import named
    from warehouse.store.sessions import locked

    try:
        with locked(home, seconds=2):
            receipt = Archive(home.archive).withdraw(receipt_id, named(by), reason)
    except (ArchiveError, StoreError) as error:
        raise fail(error) from None
    out.print(
        f"receipt {receipt.receipt_id} ({safe_name(receipt.file_name)}, {receipt.table} {receipt.scope} {receipt.period}) is taken back: "
        "nothing of it will be loaded, the next run enters that in the ledger",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
