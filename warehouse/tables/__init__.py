"""What tables there are: showcase tables from contracts, system tables, their rules, DDL, views and passports.

Belongs here: descriptions as data, and SQL text made from them. Does not belong here: running that SQL (store/,
loading/), and anything that reads rows.
"""
