"""Whether an extract carries personal data, by the contracts: what may be kept of it, and how, is decided by this alone.

Does not belong here: personal data found in cells that no contract classes so (personal_data/detection.py).
"""

from __future__ import annotations

from connectors.mapping.source_contract import SourceContract
from warehouse.tables.contracts import Table


def personal_columns(table: Table, contract: SourceContract) -> tuple[str, ...]:
    """Columns of the table classed personal that the contract fills: they are replaced by pseudonyms at the gate."""
    unmapped = contract.unmapped(table)
    return tuple(c.name for c in table.columns if c.personal and c.name not in unmapped)


def personal_headers(table: Table, contract: SourceContract) -> frozenset[str]:
    """Headers of the extract whose cells are never shown: a personal column or dropped free text is made of them, or none at all."""
    hidden = {c.name for c in table.columns if c.personal or c.free_text} | {
        c.name for c in contract.columns if c.free_text
    }
    fed = {header for c in contract.columns if c.name in hidden and c.free_text != "scrub" for header in c.fed_by}
    return frozenset({*fed, *contract.personal_headers})


def carries_personal(table: Table, contract: SourceContract) -> bool:
    """Whether the extract as delivered holds personal data, by what the contracts say of its columns.

    What people write carries it too, taken or not; so does what a contract declares of headers that it does not take.
    """
    texts = {c.name for c in table.columns if c.free_text}
    written = any(c.free_text or c.name in texts for c in contract.columns)
    return bool(personal_columns(table, contract) or contract.personal_headers or written)
