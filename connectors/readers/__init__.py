"""From archived bytes to files DuckDB can read: archives unpacked, text decoded, headers compared with the contract.

Belongs here: bytes, records and headers. Does not belong here: what a cell's text means (mapping/), rules on rows
(row_gate/).
"""
