"""The folder an installation lives in: its files, who may read them, its keys, and in whose name something is done.

Belongs here: what is known of a home without opening its warehouse. Does not belong here: DuckDB sessions (store/),
tables and contracts (tables/).
"""
