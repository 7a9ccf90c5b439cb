"""The rooms of each package, floor by floor: what `docs/architecture.md` draws and `test_architecture.py` holds imports against."""

from __future__ import annotations

from collections.abc import Mapping

# rooms and modules of a package from the bottom up: each imports from its own floor and from those below it
FLOORS: Mapping[str, tuple[set[str], ...]] = {
    "warehouse": (
        {"errors", "sql", "periods", "moments"},
        {"home"},
        {"tables"},
        {"isolation"},
        {"store"},
        {"loading"},
        {"kpi_values"},
        {"release"},
        {"audit"},
    ),
    "connectors": (
        {"mapping", "simulator"},
        {"personal_data"},
        {"archive"},
        {"readers"},
        {"inference", "row_gate"},
        {"delivery_gate"},
        {"receiving"},
        {"reread", "rotation"},
        {"corrections"},
        {"reconciliation", "batches"},
        {"ingest_batch"},
        {"ingest"},
    ),
    "kpi_definitions": (
        {"documents", "expressions"},
        {"model"},
        {"compiler"},
        {"catalogue_checks"},
        {"catalogue"},
        {"golden", "strict"},
    ),
    "pipelines": (
        {"event_log", "error_messages", "pending_work", "selection"},
        {"resources"},
        {"assets"},
        {"automation"},
        {"definitions"},
        {"run", "read_only_ui"},
        {"methods", "recovery"},
        {"first_versions"},
        {"cli"},
    ),
}
