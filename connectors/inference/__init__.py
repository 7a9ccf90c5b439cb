"""First versions of source contracts: what a sample of a system's file shows, tried by the readers and the grammar that read deliveries.

Belongs here: guesses and their doubts. Does not belong here: the text of a contract (pipelines/), the reading of deliveries (readers/,
mapping/), which know nothing of this room.
"""
