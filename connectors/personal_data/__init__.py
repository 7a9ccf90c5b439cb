"""Persons stay outside: what gives a person away in a text, pseudonyms, what may be shown of names and rejected rows.

Belongs here: finding and replacing personal data before any rule or message sees them. Does not belong here: which
columns are personal (contracts say so, mapping/classification.py), encryption of the archive (archive/encryption.py).
"""
