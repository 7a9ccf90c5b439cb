"""Other engines that measure: ClickHouse and Spark. What they are given, what they hold, and what they are asked.

An engine gets the showcase with its history from the warehouse, as Parquet by table and month, and gives parts of KPIs: counts, exact
sums, order statistics. Without a setting nothing of this is imported: the warehouse measures itself. Does not belong here: what becomes
of the parts (kpi_values), and the SQL of a scan (kpi_definitions/engine_scans.py).
"""
