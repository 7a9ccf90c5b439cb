"""What qala says, in Kazakh, Russian and English: a message is a code with its parts, its sentence is made in the reader's language.

Belongs here: the catalogue of messages (catalogue/<subject>.yaml: code → en, ru, kk, parts as {name}) and how a sentence is made of one.
Does not belong here: when a message is given (the room that gives it), names of things that the registries or contracts hold.
"""
