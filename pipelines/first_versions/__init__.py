"""First versions of contracts, tables and definitions, as commented texts: what `qala new` writes.

Belongs here: the texts and where they go; every doubt in them is a TODO, which `qala check` lists and nothing is computed by. Does not belong
here: what a sample shows (connectors/inference/), the checks themselves (methods/check.py).
"""
