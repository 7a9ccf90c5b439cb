"""A small home whose report people look at: simulated extracts of two cities, taken in, computed, assessed, released."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import ingest_batch
from connectors.archive.archive import Archive
from connectors.ingest import load_source_contracts
from connectors.mapping.contract_checks import STANDARD
from connectors.receiving.deliver import DeclaredDelivery, deliver
from connectors.simulator.generate import simulate
from kpi_definitions.catalogue import load_catalogues
from tests.support.homes import new_home
from tests.support.runs import take_in_and_compute
from warehouse.home import keys
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.periods import parse_period
from warehouse.release.release import publish
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

CITIES = ("551010000", "471010000")  # Pavlodar and Aktau: of one group, so that they are ranked
TABLES = (
    "dim_customer_base",
    "dim_information_system",
    "dim_population",
    "fct_alert_delivery",
    "fct_appeal",
    "fct_building_permit",
    "fct_business_application",
    "fct_crash",
    "fct_emergency_call",
    "fct_housing_request",
    "fct_kpi_target",
    "fct_outage",
    "fct_service_application",
    "fct_trip",
    "fct_waste_weighing",
)  # the others are not delivered: most KPIs have no value, and say why
YEAR = 2025


def build(root: Path, months: str = "2025-S2") -> Home:
    """Make the home and its release."""
    home, tables, catalogues = new_home(root), load_tables(), load_catalogues()
    keys.make(home, "archive")
    archive, wanted = Archive(home.archive), parse_period(months).months
    sources = load_source_contracts(home, tables)
    for one in simulate({name: tables[name] for name in TABLES}, root / "extracts", settlements=CITIES, scale=0.02):
        if parse_period(one.period).closing_month in wanted:
            declared = DeclaredDelivery(one.path, one.table, one.scope, one.period, one.system or STANDARD)
            deliver(archive, declared, tables, sources)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ingest_batch, "judge_deliveries", lambda *_: []
        )  # seconds of Great Expectations, and no page shows them
        take_in_and_compute(home, TABLES, wanted, catalogues)
    with writing(home) as store:
        for catalogue in catalogues.lists:
            if catalogue.rules_of(YEAR) is not None:
                assess(store, catalogue, YEAR)
    publish(home, archive.missing)
    return home
