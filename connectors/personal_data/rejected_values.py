"""What is kept of rejected rows and cells: it goes into `audit.rejected_row` and so into every release. SQL of the reading pass.

Decided by what the contracts say of each column (docs/personal-data.md has the table). Of a personal column nothing is kept but that
there was something; of headers that are not taken not even that. A cell that can be read is shown as it stands. One that cannot may hold
anything, as in a row whose cells have moved: it is shown by its shape. Texts are shown by their shape where the extract has personal data
or columns that are not taken: they too may stand in each other's place. Numbers and addresses of persons are taken out of all of it. The
record as it came is in the archive, and `qala rows` shows it from there. Does not belong here: rows that are accepted
(deidentification.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.mapping.cell_grammar import MOMENTS
from connectors.mapping.classification import carries_personal, personal_headers
from connectors.mapping.source_contract import SourceColumn, SourceContract
from connectors.personal_data.detection import WITHHELD, masked, scrub_few
from warehouse.sql import literal, quoted
from warehouse.tables.contracts import Table


class RejectedValues:
    """What is kept of the records of certain files: `header` is theirs, `taken` the headers of it that are read.

    `to_holder`: nothing is kept of it, it is shown once to who holds the file and has to mend its contract (`qala try`). Then cells that make a code, a
    number or a time are shown with their letters, whatever else the extract holds; of persons' columns there is nothing to be seen as ever.
    """

    def __init__(
        self, table: Table, contract: SourceContract, header: Sequence[str], taken: Sequence[str], *, to_holder: bool
    ):
        self._table, self._contract, self._taken, self._to_holder = table, contract, taken, to_holder
        self._hidden = personal_headers(table, contract)
        self._doubtful = carries_personal(table, contract) or bool(set(header) - set(taken))

    def record(self) -> str:
        """A record as a struct of its taken headers, over the file's text columns and the typed ones under '=name'."""
        return "{" + ", ".join(f"{literal(h)}: {self._header(h)}" for h in self._taken) + "}"

    def cell(self, name: str, text: str) -> str:
        """A cell that is left empty, by the table's column; `text`: SQL of the cell as delivered, or of what was worked out."""
        column = next(c for c in self._table.columns if c.name == name)
        source = self._contract.by_name.get(name)
        if column.personal or (source and self._hidden & {*source.fed_by}):
            return literal(WITHHELD)
        if self._to_holder and self._is_no_text(name):
            return scrub_few(text)
        return self._text(text) if column.sql_type.upper() == "VARCHAR" else masked(text)

    def _header(self, header: str) -> str:
        x = quoted(header)
        if header in self._hidden:
            return f"CASE WHEN {x} IS NOT NULL THEN {literal(WITHHELD)} END"
        fed = [c for c in self._contract.columns if header in c.fed_by]
        if not fed and any(header in one.headers for one in self._contract.shape.logics):
            return self._text(x)  # by it the row was judged
        shown = {self._direct(c, x) if c.header == header else self._text(x) for c in fed}
        return shown.pop() if len(shown) == 1 else masked(x)

    def _direct(self, source: SourceColumn, x: str) -> str:
        """A cell of which a column is made and nothing else."""
        column = next((c for c in self._table.columns if c.name == source.name), None)
        if column is None:  # the settlement
            return masked(x)
        if self._to_holder and self._is_no_text(source.name):
            return scrub_few(x)
        value, kind = quoted("=" + source.name), column.sql_type.upper()
        if source.name in self._table.codes:
            codes = ", ".join(map(literal, self._table.codes[source.name]))
            return f"CASE WHEN {value} IN ({codes}) THEN {scrub_few(x)} ELSE {self._text(x)} END"
        if kind == "VARCHAR":
            return self._text(x)
        return f"CASE WHEN {value} IS NULL THEN {masked(x)} ELSE {x if kind in MOMENTS else scrub_few(x)} END"

    def _is_no_text(self, name: str) -> bool:
        column = next(c for c in self._table.columns if c.name == name)
        return column.sql_type.upper() != "VARCHAR" or name in self._table.codes

    def _text(self, x: str) -> str:
        return masked(x) if self._doubtful else scrub_few(x)


def shown_record(text: str, what: str) -> str:
    """What is kept of a record that cannot be split or decoded: what is wrong, and how long it is."""
    return f"{WITHHELD} {what}; {len(text.rstrip(chr(13) + chr(10))):,} letters"


def shown_bytes(cell: str) -> str:
    """What is kept of a cell with bytes that are not of the encoding, as the reader has it (surrogates)."""
    places = [n for n, c in enumerate(cell, 1) if "\udc80" <= c <= "\udcff"]
    return (
        f"{WITHHELD} letter {places[0]} of {len(cell):,} is no UTF-8" if places else f"{WITHHELD} {len(cell):,} letters"
    )
