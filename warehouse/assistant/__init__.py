"""A release served to assistants (Model Context Protocol), read-only, every answer with its evidence.

Belongs here: the tools and what each answers, what is withheld, the limits of a question, the server. Does not belong here: free SQL,
anything that writes, sentences (messages/), how a number came about (audit/explain.py).
"""
