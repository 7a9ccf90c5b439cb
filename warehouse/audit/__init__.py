"""What auditors ask of a warehouse: how a number came about, the rows behind it, whether it comes out again, whether
anybody touched it.

Belongs here: questions to a release. Everything here reads and nothing writes, but files for the one who asks. Does
not belong here: what makes numbers, seals rows or keeps the ledger; that is the warehouse itself.
"""
