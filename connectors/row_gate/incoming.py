"""A delivery on its way through both gates: what is declared of it, its contract, and its files ready to be read.

Does not belong here: the delivery as the warehouse has it (warehouse/loading/deliveries.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.mapping.source_contract import SourceContract
from connectors.readers.readers import Readable


@dataclass
class Incoming:
    """A delivery on its way through the gates. Its period as ISO dates, first day and the day after; `scope`: settlement, region or KZ, as declared."""

    delivery_id: int
    scope: str
    period_end: str
    file_name: str
    contract: SourceContract
    declared_rows: int | None
    readable: Readable
    period_start: str = ""

    @property
    def rows_of_record(self) -> int:
        """How many rows each of its records makes."""
        return self.contract.shape.rows_of_record(self.readable.header)
