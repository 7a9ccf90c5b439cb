"""A release served to assistants (Model Context Protocol), read-only, every answer with its evidence.

Belongs here: the tools and what each answers. Does not belong here: free SQL, anything that writes, sentences (messages/).
"""
