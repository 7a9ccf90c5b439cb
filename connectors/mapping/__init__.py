"""What a source contract says: which header becomes which column, how text becomes a value, what a column may hold.

Belongs here: contracts as objects, their checks, the one grammar of cells. Does not belong here: reading files
(readers/), running the casts over rows (row_gate/).
"""
