"""How each engine writes what a definition may say: a closed list (functions.yaml), nothing by a general translation."""

from __future__ import annotations

DIALECTS = ("duckdb", "clickhouse", "spark")
