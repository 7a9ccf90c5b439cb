"""Fields of records that carry their own names (JSON, XML), compared with the contract as a header is.

The header is what the contract knows. Which fields there are shows record by record: one that the contract does not know is refused with
the record it was met in; one that no record of a delivery has is lacking (rows.py). Does not belong here: how a field is called (json_rows.py, xml_rows.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.safe_names import safe_header
from connectors.readers.headers import StructureError
from connectors.readers.written_cells import WrittenCells

NOT_TAKEN = -1


class Fields:
    """What the contract knows of the fields of a file, and which that it needs were not met yet."""

    def __init__(self, contract: SourceContract, name: str, unpivoted: Iterable[str] = ()):
        self._contract, self._name = contract, name
        made = {*contract.shape.made, *contract.constants}
        columns = [c.header for c in contract.columns if c.header and c.header not in made]
        self.header = tuple(dict.fromkeys((*contract.headers, *columns, *unpivoted)))
        self.unpivoted: dict[str, None] = {}  # fields met that a pattern makes rows of
        self.places = dict.fromkeys(contract.personal_headers, NOT_TAKEN) | {h: n for n, h in enumerate(self.header)}
        self.writers = [WrittenCells(contract, h) for h in self.header]
        self.unmet = {*contract.headers}

    def unknown(self, field: str, where: str) -> None:
        """A field that is not in `places` was met. Raises StructureError unless the contract ignores such."""
        unpivot = self._contract.shape.unpivot
        if unpivot and field in unpivot.labels([field]):
            self.unpivoted[field] = None
            return
        if self._contract.other_headers == "ignore":
            return
        names = [safe_header(1, field, self.places)]
        raise StructureError(
            "refusal.unknown_field", file=self._name, names=names, where=where, contract=self._contract.id
        )

    @property
    def finds(self) -> bool:
        """Whether the file's records must be gone through to know its header: a pattern says which fields become rows."""
        unpivot = self._contract.shape.unpivot
        return unpivot is not None and not unpivot.columns
