"""From a system's extract to rows in the warehouse: bytes as received, what they must look like, and the two gates they pass.

Rooms, from the bottom up: mapping, personal_data, archive, readers, row_gate, delivery_gate, receiving. Over them ingest.py leads the
deliveries of a table through the rooms, batches.py and ingest_batch.py one batch.
Belongs here: the archive of bytes as received (the zero-level showcase), the inbox, source contracts
(`contracts/<system>/<extract>.odcs.yaml`), readers of formats and encodings, rules on rows and on deliveries, the simulator.
Does not belong here: tables, history, KPI values. Rows go into the warehouse through `warehouse.loading.load` alone; nothing here
imports Dagster.
"""
