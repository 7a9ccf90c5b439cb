"""Lineage in the forms that other systems read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, app, err, fail, home_of
from pipelines.cli.completions import kpi_codes, settlement_names
from warehouse.errors import StoreError


@app.command()
def openlineage(
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="A file to append to, or an address: http://localhost:5000; left out: printed, one a line"
        ),
    ] = None,
    since: Annotated[int, typer.Option("--since", min=0, help="Only what came after this ledger sequence")] = 0,
    namespace: Annotated[
        str, typer.Option("--namespace", help="Of jobs; of data sets: with -archive and -warehouse")
    ] = "qala",
    home_folder: HomeOption = None,
) -> None:
    """What the released ledger recorded as OpenLineage events; a key in OPENLINEAGE_API_KEY is sent along."""
    from openlineage.client.serde import Serde

    from warehouse.audit.openlineage import lineage_events, transport
    from warehouse.store.sessions import reading

    told, count = since, 0
    try:
        way = transport(to) if to else None
        with reading(home_of(home_folder)) as store:
            for seq, event in lineage_events(store, since, namespace):
                if way:
                    way.emit(event)
                else:
                    sys.stdout.write(Serde.to_json(event) + "\n")
                told, count = seq, count + 1
    except StoreError as error:
        raise fail(error) from None
    except (OSError, RuntimeError) as error:  # what the client raises when a file or a receiver fails
        raise fail(f"{error}; {count} events were sent: go on with --since {told}") from None
    err.print(f"{count} events; the next time: --since {told}", highlight=False, soft_wrap=True)


@app.command()
def provenance(
    kpi: Annotated[str, typer.Argument(help="KPI code: MGT02-1", autocompletion=kpi_codes)],
    settlement: Annotated[str, typer.Argument(help="As qala explain takes it", autocompletion=settlement_names)],
    period: Annotated[str, typer.Argument(help="As qala explain takes it")],
    to: Annotated[Path | None, typer.Option("--to", help="A file to write; left out: printed")] = None,
    home_folder: HomeOption = None,
) -> None:
    """The chain behind one number as PROV-JSON: the value, its definition, rows, deliveries and their SHA-256, who did what."""
    from kpi_definitions.catalogue import load_catalogues
    from warehouse.audit.explain import UnknownError, explain
    from warehouse.audit.provenance import document
    from warehouse.store.sessions import reading

    home = home_of(home_folder)
    try:
        with reading(home, with_views=False) as store:
            answer = explain(store, load_catalogues(home.catalogues), kpi.upper(), settlement, period)
        text = document(answer).serialize(format="json", indent=1, ensure_ascii=False)
        if to:
            to.write_text(f"{text}\n", encoding="utf-8")
        else:
            sys.stdout.write(f"{text}\n")
    except (UnknownError, StoreError, DocumentError, OSError) as error:
        raise fail(error) from None
