"""One batch of deliveries of one table: staged by the row gate, judged by the delivery gate, decided on, loaded.

Belongs here: the order of these steps, and what they mean for each delivery. Does not belong here: which deliveries make a batch
(batches.py), the rules (row_gate/, delivery_gate/), writing rows and decisions (warehouse/loading/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.archive.archive import Archive
from connectors.batches import OpenedBatch
from connectors.corrections import DeclaredCorrection, apply_corrections, drop_corrected
from connectors.delivery_gate.declaration_checks import check_declared_content
from connectors.delivery_gate.delivery_gate import judge_deliveries
from connectors.delivery_gate.earlier_deliveries import compare_with_earlier
from connectors.delivery_gate.near_duplicates import near_duplicate_findings
from connectors.delivery_gate.profile import profile_deliveries
from connectors.delivery_gate.shape_findings import shape_findings
from connectors.delivery_gate.unknown_codes import unknown_code_findings
from connectors.mapping.classification import personal_columns
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.deidentification import personal_data_findings
from connectors.personal_data.pseudonyms import PseudonymKey, mixed_key_findings
from connectors.readers.headers import listed
from connectors.readers.readers import Readable
from connectors.row_gate.incoming import Incoming
from connectors.row_gate.row_gate import stage
from connectors.row_gate.staging import drop_staging
from warehouse.loading.deliveries import Corrected, Delivery, DeliveryState, Finding, Gaps, Outcome, same_bytes
from warehouse.loading.load import load
from warehouse.messages.messages import Message, embedded, recorded, told
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.rules import FOUND_PERSONAL, STRUCTURE, STRUCTURE_WORDS
from warehouse.tables.usual import counted_columns

TIME_ZONE = "Asia/Almaty"  # national civil time: timestamps with an offset are brought to it
# rules of the findings that say what was left out of an archive, and which lines below the records of a file
MEMBERS, FOOTER = "members", "footer"
_FILES = 10  # whose lines below the records are told
Counts = tuple[int, int, int]  # rows received, accepted, rejected; the rest its contract leaves out


@dataclass
class _Judgement:
    """What both gates found in a batch."""

    findings: list[Finding]
    counts: dict[int, Counts] = field(default_factory=dict)
    gaps: list[Gaps] = field(default_factory=list)
    corrected: list[Corrected] = field(default_factory=list)
    relation: str = "work_staged_row"  # to be loaded: the staged rows, with declared corrections applied


def ingest_batch(
    store: Store,
    archive: Archive,
    table: Table,
    opened: OpenedBatch,
    corrections: Sequence[DeclaredCorrection],
    key: PseudonymKey | None,
) -> tuple[list[Outcome], list[Finding], list[Corrected]]:
    """Decide on every delivery of a batch and load the rows of those accepted, in one transaction."""
    repeats = same_bytes(store, opened.batch, {d: (c.id, c.version) for d, c in opened.contracts.items()})
    drop_staging(store.con)
    incoming, refusals = _incoming(opened, repeats)
    unreadable = stage(store.con, table, incoming, TIME_ZONE, key.key if key else None)
    refusals |= {delivery_id: told(error) for delivery_id, error in unreadable.items()}
    staged = [one for one in incoming if one.delivery_id not in refusals]
    judged = _judge(store, archive, table, opened, staged, refusals, corrections, key)
    refusals |= _refused_by_rule(opened.batch, judged.findings, refusals)
    judged.findings += _findings_of_repeats(judged.findings, repeats, refusals)
    made_by = dict.fromkeys(_with_pseudonyms(table, staged, judged.findings), key.key.id) if key else {}
    outcomes = [
        _outcome(one, table, opened.contracts[one.delivery_id], repeats, refusals, judged.counts, made_by)
        for one in opened.batch
    ]
    repeated = "work_repeated_key" if staged else None
    load(
        store, table, judged.relation, opened.batch, outcomes, judged.findings, judged.corrected, repeated, judged.gaps
    )
    drop_corrected(store.con)
    drop_staging(store.con)
    return outcomes, judged.findings, judged.corrected


def _incoming(opened: OpenedBatch, repeats: Mapping[int, int]) -> tuple[list[Incoming], dict[int, str]]:
    """The deliveries whose files can be read, and by delivery why others cannot. Bytes that came before are not read."""
    incoming, refusals = list[Incoming](), dict[int, str]()
    for one in opened.batch:
        if one.delivery_id in repeats:
            continue
        found = opened.found[one.delivery_id].result()
        if not isinstance(found, Readable):
            refusals[one.delivery_id] = told(found)
            continue
        start, end = one.period_start.isoformat(), one.period_end.isoformat()
        incoming.append(
            Incoming(one.delivery_id, one.scope, end, one.file_name, found.contract, one.declared_rows, found, start)
        )
    return incoming, refusals


def _judge(
    store: Store,
    archive: Archive,
    table: Table,
    opened: OpenedBatch,
    staged: Sequence[Incoming],
    refusals: Mapping[int, str],
    corrections: Sequence[DeclaredCorrection],
    key: PseudonymKey | None,
) -> _Judgement:
    """Findings of every rule on the staged deliveries, in the order in which a delivery is refused by the first error."""
    con, ids = store.con, [one.delivery_id for one in staged]
    cuts = {delivery_id: contract.cut for delivery_id, contract in opened.contracts.items()}
    findings = check_declared_content(con, table, [d for d in opened.batch if d.delivery_id in set(ids)], cuts)
    findings += [
        Finding(d, STRUCTURE, "error", "conformity", False, reason, recorded(STRUCTURE_WORDS))
        for d, reason in refusals.items()
    ]
    findings += _left_out(staged)
    judged = _Judgement(findings)
    if not staged:
        return judged
    profile, broken = profile_deliveries(con, table, staged)
    findings += judge_deliveries(table, profile, broken)
    findings += shape_findings(con, staged, profile, broken)
    unfit = {f.delivery_id for f in findings if f.severity == "error" and not f.passed}
    counted = counted_columns(table.name, store.home.catalogues)
    compared, judged.gaps = compare_with_earlier(con, table, staged, counted, unfit)
    findings += compared
    findings += near_duplicate_findings(con, table, staged)
    findings += unknown_code_findings(con, table, ids, [store.home.catalogues])
    findings += personal_data_findings(con, table, ids)
    findings += mixed_key_findings(
        key, table, {i.delivery_id: bool(personal_columns(table, i.contract)) for i in staged}
    )
    judged.counts = {
        int(row["delivery_id"]): (int(row["received"]), int(row["accepted"]), int(row["rejected"]))
        for row in profile.to_dict("records")
    }
    judged.relation, judged.corrected, guards = apply_corrections(store, archive, table, corrections)
    findings += guards
    return judged


def _left_out(staged: Iterable[Incoming]) -> list[Finding]:
    """What of a delivery was not read: members of its archive, lines below its records."""
    found = list[tuple[int, str, Sequence[Message]]]()
    for one in staged:
        if one.readable.left_out:
            names = listed(one.readable.left_out)
            found.append((one.delivery_id, MEMBERS, [{"code": "finding.left_out", "names": names}]))
        if one.readable.below:
            found.append((one.delivery_id, FOOTER, one.readable.below[:_FILES]))
    return [
        Finding(number, rule, "warning", "conformity", True, recorded(said), recorded({"code": f"rule.{rule}"}))
        for number, rule, said in found
    ]


def _refused_by_rule(
    batch: Iterable[Delivery], findings: Iterable[Finding], refusals: Mapping[int, str]
) -> dict[int, str]:
    """By delivery, the first error that refuses it as a whole; of those not refused already."""
    names = {d.delivery_id: d.file_name for d in batch}
    found: dict[int, str] = {}
    for one in findings:
        if one.severity == "error" and not one.passed and one.delivery_id not in refusals:
            reason = {"code": "refusal.rule", "file": names[one.delivery_id], "rule": one.rule}
            parts = {"observed": embedded(one.observed), "expected": embedded(one.expected)}
            found.setdefault(one.delivery_id, recorded({**reason, **parts}))
    return found


def _findings_of_repeats(
    findings: Iterable[Finding], repeats: Mapping[int, int], refusals: Mapping[int, str]
) -> list[Finding]:
    """What is wrong with bytes is wrong with them each time they come: the refused delivery's findings, for its repeats too."""
    return [
        replace(finding, delivery_id=repeat)
        for repeat, first in repeats.items()
        if first in refusals
        for finding in findings
        if finding.delivery_id == first
    ]


def _with_pseudonyms(table: Table, staged: Iterable[Incoming], findings: Iterable[Finding]) -> set[int]:
    """Deliveries in whose rows a pseudonym may stand: personal columns are filled, or personal data was found elsewhere."""
    found = {f.delivery_id for f in findings if f.rule == FOUND_PERSONAL and not f.passed}
    return found | {one.delivery_id for one in staged if personal_columns(table, one.contract)}


def _outcome(
    one: Delivery,
    table: Table,
    contract: SourceContract,
    repeats: Mapping[int, int],
    refusals: Mapping[int, str],
    counts: Mapping[int, Counts],
    made_by: Mapping[int, str],
) -> Outcome:
    """The decision on one delivery: duplicate, refused or loaded. `made_by`: by delivery, the key of its pseudonyms."""
    number, read_by = one.delivery_id, (contract.id, contract.version)
    counted = counts.get(number, (0, 0, 0))
    if number in repeats:
        first = repeats[number]
        if first in refusals:  # in this very batch
            why = {"code": "delivery.same_bytes_refused", "delivery": first, "reason": embedded(refusals[first])}
            return Outcome(number, DeliveryState.REFUSED, recorded(why), *read_by)
        same = recorded({"code": "delivery.same_bytes", "delivery": first})
        return Outcome(number, DeliveryState.DUPLICATE, same, *read_by)
    if number in refusals:
        # refused whole: no row is loaded, so all that were read count as rejected
        return Outcome(number, DeliveryState.REFUSED, refusals[number], *read_by, counted[0], 0, counted[0])
    unmapped = ",".join(contract.unmapped(table)) or None
    return Outcome(number, DeliveryState.LOADED, None, *read_by, *counted, contract.cut, unmapped, made_by.get(number))
