"""Whether an extract carries personal data, by the contracts: what may be kept of it, and how, is decided by this alone."""

from __future__ import annotations

from connectors.source_contract import SourceContract
from warehouse.contracts import Table

PERSONAL = "personal"


def personal_columns(table: Table, contract: SourceContract) -> tuple[str, ...]:
    """Columns of the table classed personal that the contract fills: they are replaced by pseudonyms at the gate."""
    unmapped = contract.unmapped(table)
    return tuple(c.name for c in table.columns if c.classification == PERSONAL and c.name not in unmapped)


def carries_personal(table: Table, contract: SourceContract) -> bool:
    """Whether the extract as delivered holds personal data, by what the contracts say of its columns."""
    return bool(personal_columns(table, contract))
