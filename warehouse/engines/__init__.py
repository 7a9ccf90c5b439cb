"""Other engines that measure: ClickHouse and Spark.

Belongs here: what they are given (the showcase with its history, as Parquet by table and month), what they hold, and asking them for parts
of KPIs: counts, exact sums, order statistics. Does not belong here: what becomes of the parts (kpi_values), and the SQL of a scan
(kpi_definitions/engine_scans.py). Without a setting nothing of this is imported: the warehouse measures itself.
"""
