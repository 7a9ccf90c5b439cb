"""Extracts arrive: from the command line or the inbox, with what is declared about them, until a receipt is written.

Belongs here: everything that can be asked of a file before its content is read. Does not belong here: the archive's
own files (archive/), reading and judging (ingest.py and the gates).
"""
