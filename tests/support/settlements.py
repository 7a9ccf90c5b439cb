"""Settlements that tests speak of."""

from __future__ import annotations

ASTANA, ALMATY, SHYMKENT = "710000000", "750000000", "790000000"  # of republican significance
SEMEY, KURCHATOV, AKTAU, ZHANAOZEN = "101010000", "101810000", "471010000", "471810000"  # of regional significance
AYAGOZ = "103620100"  # of a district
