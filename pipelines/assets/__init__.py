"""One module for each stage of the data's way: zero, showcase, kpi, assessment, release.

Belongs here: assets and their checks, and what Dagster shows of them. Does not belong here: what a stage does (connectors/,
warehouse/), when it runs (automation.py).
"""
