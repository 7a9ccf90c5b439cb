"""The report: a folder of plain pages in three languages, made from a release alone, that opens without a server.

Belongs here: what is read of a release for a page, templates, style, the one small script. Does not belong here: drawing (charts/), numbers
that the release does not hold, files for other systems (publications/).
"""
