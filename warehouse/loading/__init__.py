"""Rows come in: deliveries and their decisions, rows replaced and moved to history, incidents.

Belongs here: everything between staged rows and the showcase. Does not belong here: reading files and judging
deliveries (connectors/), KPI values (kpi_values/).
"""
