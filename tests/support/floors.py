"""The house as it must be: which package, room and module may import which."""

from __future__ import annotations

from collections.abc import Mapping

PACKAGES = ("pipelines", "connectors", "kpi_definitions", "warehouse")
# package → what of the other packages it may import: packages, rooms or modules
ALLOWED: Mapping[str, set[str]] = {
    "pipelines": {"connectors", "kpi_definitions", "warehouse"},
    "connectors": {
        "warehouse.errors",
        "warehouse.sql",
        "warehouse.periods",
        "warehouse.moments",
        "warehouse.messages",
        "warehouse.home",
        "warehouse.tables",
        "warehouse.isolation.worker",
        "warehouse.store.store",
        "warehouse.store.key_entries",
        "warehouse.store.former_ledger",
        "warehouse.loading",
        "kpi_definitions.documents",
        "kpi_definitions.expressions",
        "kpi_definitions.nearest",
    },
    "warehouse": {"kpi_definitions"},
    "kpi_definitions": set(),
}
# rooms and modules of a package from the bottom up: each imports from its own floor and from those below it
FLOORS: Mapping[str, tuple[set[str], ...]] = {
    "warehouse": (
        {"errors", "sql", "periods", "written_periods", "moments", "version"},
        {"messages", "charts"},
        {"home"},
        {"tables"},
        {"isolation"},
        {"store"},
        {"engines"},
        {"loading"},
        {"kpi_values"},
        {"release"},
        {"audit"},
        {"report", "publications", "assistant"},
    ),
    "connectors": (
        {"mapping", "simulator"},
        {"personal_data"},
        {"archive"},
        {"readers"},
        {"inference", "row_gate"},
        {"delivery_gate"},
        {"receiving"},
        {"sources"},
        {"reread", "rotation", "control", "trial"},
        {"corrections"},
        {"reconciliation", "batches"},
        {"ingest_batch"},
        {"ingest"},
    ),
    "kpi_definitions": (
        {"documents", "expressions", "nearest", "codes", "kept"},
        {"model"},
        {"scans"},
        {"functions"},
        {"values"},
        {"calendar_arithmetic"},
        {"spelling"},
        {"compiler"},
        {"engine_scans"},
        {"catalogue_checks"},
        {"catalogue"},
        {"listed"},
        {"golden", "strict"},
    ),
    "pipelines": (
        {"event_log", "error_messages", "listening", "months", "pending_work", "refusals", "selection", "source_pulls"},
        {"resources"},
        {"notifications"},
        {"assets"},
        {"automation", "quarterly"},
        {"definitions"},
        {"run", "run_origin", "read_only_ui"},
        {"resident"},
        {"methods", "recovery"},
        {"first_versions"},
        {"cli"},
    ),
}
