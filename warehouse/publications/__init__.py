"""Figures that other systems load, made from a release alone: SDMX, Open SDG, JSON-stat, Frictionless, CSVW, DCAT.

Belongs here: one module a format. Does not belong here: the release's own exports (release/), pages for people (report/).
"""
