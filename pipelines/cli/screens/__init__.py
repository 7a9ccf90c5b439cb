"""Screens: answers as tables for a terminal.

Belongs here: layout and words of what a command prints. Does not belong here: asking or computing anything; a screen gets its answer, or reads
a view of the release. Commands and options (the modules above).
"""
