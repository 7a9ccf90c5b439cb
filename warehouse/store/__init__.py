"""One open warehouse file: sessions, the ledger, seals, history, and bringing a file of an older version up.

Belongs here: what every transaction needs whatever it writes. Does not belong here: how rows enter showcase tables
(loading/), how KPI values are made (kpi_values/).
"""
