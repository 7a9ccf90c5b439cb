"""What a source says it has, for the quarterly reconciliation: its control file, or its own database asked for counts and sums.

Belongs here: control files, the questions that make one, archiving them. Does not belong here: comparing with the warehouse and the journal of
incidents (warehouse/loading/control_totals.py), archive against ledger (connectors/reconciliation.py).
"""
