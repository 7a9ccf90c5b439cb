"""Tools of those who write contracts and definitions: check, dry run, reference pages, which contract feeds which KPI.

Belongs here: questions about definitions as documents. Does not belong here: the rules themselves (kpi_definitions/,
warehouse/tables/), printing (cli/).
"""
