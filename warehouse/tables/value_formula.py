"""How a value follows from its parts, as SQL: used where values are computed and where they are verified.

A quantile is made of the two values next to it the same way, whoever found them.
Does not belong here: which rows the parts are counted from (kpi_definitions/compiler.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpi_definitions.compiler import Compiled, Output

# a published value, to six decimals, from numerator n, denominator d and sample s; not round(x, 6), which DuckDB 2 gives another last digit
# than 1.5 for a tie such as 0.9671875 (docs/adr/0026)
VALUE = """(round(1000000 * CASE kind WHEN 'quantile' THEN n * scale
                 WHEN 'mean' THEN scale * n / nullif(s, 0)
                 ELSE scale * coalesce(n, 0) / nullif(d, 0) END) / 1000000)"""


def interpolated(low: str, high: str, place: str) -> str:
    """SQL for the quantile at a `place` in the order of values (0: the first), between the value at or below it and that at or above it."""
    past = f"({place} - floor({place}))"
    return f"({low} * (1 - {past}) + {high} * {past})"


def top(one: Compiled, column: Callable[[Output], str]) -> str:
    """SQL for what stands above in a value: the numerator; of a quantile itself, from the two values next to it. `column`: SQL for an output."""
    low = column(one.numerator)
    if one.upper is None:
        return low
    return interpolated(low, column(one.upper), f"(({column(one.sample)} - 1) * CAST({one.share} AS DOUBLE))")
