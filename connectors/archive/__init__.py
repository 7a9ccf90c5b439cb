"""The zero-level showcase: bytes exactly as received, kept by their SHA-256, encrypted where they must be, and a receipt
for every delivery.

Belongs here: files of the archive and nothing they say. Does not belong here: formats and encodings (readers/), what
a contract demands (mapping/).
"""
