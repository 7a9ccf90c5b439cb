"""How a value follows from its parts, as SQL: used where values are computed and where they are verified.

Does not belong here: which rows the parts are counted from (kpi_definitions/compiler.py).
"""

from __future__ import annotations

# a published value, to six decimals, from numerator n, denominator d and sample s; not round(x, 6), which DuckDB 2 gives another last digit
# than 1.5 for a tie such as 0.9671875 (docs/adr/0026)
VALUE = """(round(1000000 * CASE kind WHEN 'quantile' THEN n * scale
                 WHEN 'mean' THEN scale * n / nullif(s, 0)
                 ELSE scale * coalesce(n, 0) / nullif(d, 0) END) / 1000000)"""
