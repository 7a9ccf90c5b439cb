"""Item 12(4) held by DuckDB and by the operating system: what a statement reads, what a connection reaches, what a
worker process may take of time and memory.

Belongs here: guards that know neither tables nor KPIs. Does not belong here: the compiler's list of allowed functions
(kpi_definitions/), and what is computed under the guards (kpi_values/).
"""
