"""Losing nothing: backup, restore, and a warehouse made anew from its archive and ledger.

Belongs here: work on a whole home. Does not belong here: upgrading a warehouse file, which every opening may ask for
(warehouse/store/upgrade.py).
"""
