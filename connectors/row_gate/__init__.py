"""The first gate: rules on rows, one compiled SQL pass over the files of many deliveries, broken rows into quarantine.

Belongs here: rules that one row breaks, and identifiers that repeat. Does not belong here: judging a delivery as a
whole (delivery_gate/).
"""
