"""What to do about a refused delivery: the contract to be looked at, the commands to be typed.

Used by the command line and by the run in Dagster. Does not belong here: what was refused and why (warehouse/audit/refusals.py), screens.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import MASK
from warehouse.audit.refusals import Headers, Refused
from warehouse.home.home import Home
from warehouse.loading.broken_rules import Broken
from warehouse.messages.messages import Message, code_of
from warehouse.tables.contracts import Table

Sources = Mapping[tuple[str, str], SourceContract]


def headers_of(sources: Sources) -> Headers:
    """(system, table) → column → headers that it is made of."""
    return {pair: contract.fed_by for pair, contract in sources.items()}


def remedies(one: Refused, sources: Sources, tables: Mapping[str, Table], home: Home) -> Iterator[Message]:
    """What to do about a refused delivery, in order: messages, each with the command or the file."""
    place = "" if home == Home.default() else f" --home {shlex.quote(str(home.root))}"
    # a name that is not shown as it is given cannot be typed either
    file = "FILE" if MASK in one.file_name else shlex.quote(one.file_name)
    contract = sources.get((one.system, one.table_name))
    if code_of(one.reason) == "refusal.no_source_contract":
        command = f"qala new source {shlex.quote(one.system)} --table {one.table_name} --sample {file}{place}"
        yield {"code": "remedy.new_source", "command": command}
    system = "" if one.system == STANDARD else f" --system {shlex.quote(one.system)}"
    if contract and contract.document:
        path = str(contract.document.path)
        yield {"code": "remedy.contract", "path": path}
        if columns := _with_unknown_codes(one.broken, tables.get(one.table_name)):
            yield {"code": "remedy.codes", "columns": columns, "path": path}
    declared = f"--table {one.table_name}{system} --settlement {one.scope} --period {one.period_id}"
    if contract or not system:
        yield {"code": "remedy.try", "command": f"qala try {file} {declared}{place}"}
    yield {"code": "remedy.deliver", "command": f"qala deliver {file} {declared}{place}"}


def _with_unknown_codes(broken: Sequence[Broken], table: Table | None) -> list[str]:
    """Columns with a code list whose rule was broken."""
    if table is None:
        return []
    listed = {
        r.id: str(r.column) for r in table.all_rules if r.column in table.codes and not r.id.endswith(".required")
    }
    return list(dict.fromkeys(listed[b.rule] for b in broken if b.rule in listed))
