"""How bytes reach us, what they must look like, and the two gates they pass before the warehouse takes them.

Rooms, from the bottom up: mapping, personal_data, archive, readers, row_gate, delivery_gate, receiving; ingest.py leads
deliveries through them.
Belongs here: the archive of bytes as received (the zero-level showcase), the inbox, source contracts
(`contracts/<system>/<extract>.odcs.yaml`), readers of formats and encodings, row rules and the judgement of deliveries,
the simulator.
Does not belong here: tables, history, KPI values. Rows go into the warehouse through `warehouse.loading.load` alone; nothing here
imports Dagster.
"""
