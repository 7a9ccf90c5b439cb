"""The same work by plain DuckDB, pandas, dbt-duckdb and qala's job, on the same files: `make bench SIZE=10m`. See README.md."""
