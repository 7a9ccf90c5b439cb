"""The second gate: a delivery judged as a whole, by its profile, its declaration, and the deliveries before it.

Belongs here: rules of which a delivery, not a row, is the subject. Does not belong here: rules on rows (row_gate/),
loading what passed (warehouse/loading/).
"""
