"""The SDU-model store: what tables there are, how rows come in and go out, and what is computed from them.

Belongs here: the contracts of the showcase tables, the registries, the DuckDB file and its schema (SQLAlchemy),
loading with history, the audit ledger, the computation of KPI values, questions about them (explain, status), the
release. Does not belong here: where bytes come from or what a source's file looks like (connectors/), what a KPI
means (kpi_definitions/), Dagster (pipelines/). Rooms, from the bottom up: home, tables, isolation, store, loading,
kpi_values, release, audit. Each imports from those below it only (tests/test_architecture.py). Connectors come in
through tables/ and loading/; they see no KPI value.
"""
