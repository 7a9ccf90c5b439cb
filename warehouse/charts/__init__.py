"""Charts as SVG: small pure functions from numbers and labels to text, and the map of the regions.

Belongs here: shapes, axes, marks, their titles for readers who do not see them; geometry with its source. Does not belong here: reading a
release, words (callers give labels in the reader's language), pages (report/).
"""
