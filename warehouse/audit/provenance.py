"""The chain behind one number as a W3C PROV document: who did what with which bytes.

Made from the answer of `explain`, and says no more than it: extracts by the SHA-256 of their bytes, rows of the showcase as one
collection a delivery, the value and what it was before; receipt, load and computation; the systems, the catalogue, qala.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvEntity

# prefix of identifiers: its namespace
NAMESPACES = {
    "qala": "urn:qala-kpi:term:",
    "value": "urn:qala-kpi:value:",
    "definition": "urn:qala-kpi:definition:",
    "sha256": "urn:hash::sha256:",
    "delivery": "urn:qala-kpi:delivery:",
    "rows": "urn:qala-kpi:rows:",
    "computation": "urn:qala-kpi:computation:",
    "load": "urn:qala-kpi:load:",
    "receipt": "urn:qala-kpi:receipt:",
    "agent": "urn:qala-kpi:agent:",
}


def document(answer: Mapping[str, Any]) -> ProvDocument:
    """PROV of what `explain` answered: of a cell its whole chain, of a roll-up the values it was made of."""
    from prov.model import ProvDocument

    doc = ProvDocument()
    for prefix, uri in NAMESPACES.items():
        doc.add_namespace(prefix, uri)
    if "members" in answer:
        _rollup(doc, answer)
    else:
        _cell(doc, answer)
    return doc.unified()  # an agent or a file named twice is one record


def _cell(doc: ProvDocument, answer: Mapping[str, Any]) -> None:
    code, kato, period = answer["kpi"]["code"], answer["settlement"]["kato"], answer["period"]["id"]
    computed, words = answer["computed"], answer["definition"]
    # a restated cell has one value for each sequence it was computed as of
    value = _value(doc, code, kato, period, computed["as_of_seq"], answer, {
        "settlement": answer["settlement"]["name_en"], "coverage": computed["coverage"], "published": answer["published"]})  # fmt: skip
    authority = doc.agent(f"agent:catalogue-{words['catalogue']}", _facts(
        kind="Organization", label=f"catalogue {words['catalogue']} {words['catalogue_version']} ({words['catalogue_status']})",
        legal_basis=words["legal_basis"]))  # fmt: skip
    named = (
        "hash",
        "valid_from",
        "valid_to",
        "approved_by",
        "change_note",
        "formula",
        "rows",
        "numerator",
        "denominator",
        "catalogue_version",
    )
    facts = _facts(kind="Plan", label=f"{code} version {words['version']}", **{name: words[name] for name in named})
    plan = doc.entity(f"definition:{code}-{words['version']}", facts)
    doc.wasAttributedTo(plan, authority)
    # the ledger row of the computation; what was never published was computed for this answer only
    number = computed["seq"] if answer["published"] else f"unpublished-{computed['as_of_seq']}"
    computation = doc.activity(f"computation:{number}", None, computed["at"], _facts(
        label=f"computation of {code}", as_of_seq=computed["as_of_seq"], run_id=computed["run_id"], sql=answer["sql"]))  # fmt: skip
    doc.wasAssociatedWith(computation, _qala(doc), plan)
    doc.wasGeneratedBy(value, computation, computed["at"])
    doc.used(computation, plan)
    for delivery in answer["deliveries"]:
        _delivery(doc, delivery, value, computation, computed["as_of_seq"])
    newer = value
    for one in answer["earlier"]:
        older = _value(doc, code, kato, period, one["as_of_seq"], one, {
            "computed_at": one["computed_at"], "definition_version": one["definition_version"], "restated_at_seq": one["valid_to_seq"],
            "deliveries_since": "; ".join(one["deliveries_since"]) or None})  # fmt: skip
        doc.wasRevisionOf(newer, older)
        newer = older


def _delivery(
    doc: ProvDocument, one: Mapping[str, Any], value: ProvEntity, computation: ProvActivity, as_of: int
) -> None:
    """One delivery from its bytes to the rows of it that stand behind the value; or what came of it instead."""
    number = one["delivery_id"]
    system = doc.agent(f"agent:system-{one['system']}", _facts(kind="SoftwareAgent", label=f"system {one['system']}"))
    # the same bytes may be delivered twice: they are one thing, each delivery of them another
    content = doc.entity(f"sha256:{one['sha256']}", _facts(bytes=one["bytes"]))
    named = ("table_name", "scope", "period_id", "state", "reason", "received_rows", "accepted_rows", "rejected_rows")
    extract = doc.entity(f"delivery:{number}", _facts(label=one["file_name"], **{name: one[name] for name in named}))
    doc.specializationOf(extract, content)
    receipt = doc.activity(f"receipt:{one['receipt_id']}", None, one["received_at"], _facts(label="receipt"))
    doc.wasGeneratedBy(extract, receipt, one["received_at"])
    doc.wasAttributedTo(extract, system)
    doc.wasAssociatedWith(receipt, system)
    if one["loaded_at"] is None:  # it waits for a decision
        return
    checks = one["checks"]
    failed = "; ".join(f"{c['rule']}: {c['observed']}" for c in checks["failed"])
    load = doc.activity(f"load:{number}", None, one["loaded_at"], _facts(
        label=f"{one['state']} delivery {number}", ledger_sequence=one["loaded_seq"], contract=one["contract_id"],
        contract_version=one["contract_version"], checks=checks["judged"], checks_passed=checks["passed"], checks_failed=failed or None))  # fmt: skip
    doc.used(load, extract)
    doc.wasAssociatedWith(load, _qala(doc))
    if one["rows_in_this_number"]:
        rows = doc.entity(f"rows:{number}", _facts(
            kind="Collection", label=f"rows of {one['table_name']} from delivery {number}", rows_in_this_number=one["rows_in_this_number"]))  # fmt: skip
        doc.wasGeneratedBy(rows, load, one["loaded_at"])
        doc.wasDerivedFrom(rows, extract, load)
        doc.used(computation, rows)
        doc.wasDerivedFrom(value, rows, computation)
    elif (
        one["loaded_seq"] <= as_of
    ):  # refused, or nothing of it counts: it bears on the state of the value all the same
        doc.wasInfluencedBy(value, load)


def _rollup(doc: ProvDocument, answer: Mapping[str, Any]) -> None:
    code, area, period, computed = answer["kpi"]["code"], answer["area"], answer["period"]["id"], answer["computed"]
    value = _value(doc, code, area["code"], period, computed["as_of_seq"], answer, {
        "area_kind": area["kind"], "area": area["name_en"], "counted": answer["counted"], "applicable": answer["applicable"]})  # fmt: skip
    activity = doc.activity(f"computation:{computed['seq']}", None, None, _facts(
        label=f"roll-up of {code}", method=answer["method"], as_of_seq=computed["as_of_seq"]))  # fmt: skip
    doc.wasAssociatedWith(activity, _qala(doc))
    doc.wasGeneratedBy(value, activity)
    for one in answer["members"]:
        member = _value(doc, code, one["kato"], one["period_id"], None, one, {"settlement": one["name_en"]})
        doc.used(activity, member)
        if one["value"] is not None:
            doc.wasDerivedFrom(value, member, activity)


def _value(doc: ProvDocument, code: str, place: str, period: str, as_of: int | None, facts: Mapping[str, Any],
           more: Mapping[str, Any]) -> ProvEntity:  # fmt: skip
    """A value with its parts and its state; without a value, the reason why."""
    names = ("numerator", "denominator", "sample_size", "state", "obs_status", "reason")
    found = _facts(label=f"{code} {place} {period}", **{name: facts.get(name) for name in names}, **more)
    if facts["value"] is not None:
        found["prov:value"] = facts["value"]
    cell = f"value:{code}/{place}/{period}"
    if as_of is None:
        return doc.entity(cell, found)
    version_of = doc.entity(f"{cell}/{as_of}", found)
    doc.specializationOf(version_of, doc.entity(cell))  # the cell, whatever stands in it: what a roll-up names
    return version_of


def _qala(doc: ProvDocument) -> ProvAgent:
    return doc.agent("agent:qala", _facts(kind="SoftwareAgent", label=f"qala {version('qala-kpi')}"))


def _facts(kind: str | None = None, label: str | None = None, **facts: Any) -> dict[str, Any]:
    """Attributes: PROV's own type and label, all others in qala's namespace; empty ones are left out."""
    from prov.constants import PROV, XSD_DATE, XSD_DECIMAL
    from prov.model import Literal

    def typed(value: Any) -> Any:
        if isinstance(value, Decimal):
            return Literal(f"{value:f}", XSD_DECIMAL)
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return Literal(value.isoformat(), XSD_DATE)
        return value

    own = {"prov:type": PROV[kind] if kind else None, "prov:label": label}
    every = own | {f"qala:{name}": typed(value) for name, value in facts.items()}
    return {name: value for name, value in every.items() if value is not None}
