"""The provenance of one number as a W3C PROV document: who did what with which bytes.

Made from the answer of `explain`, and says no more than it. Entities: extracts by the SHA-256 of their bytes, rows of the showcase as one
collection a delivery, the value and its earlier values. Activities: receipt, load, computation. Agents: systems, the catalogue, qala.
Does not belong here: asking the warehouse anything (explain.py).
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


_PLAN_FACTS = (
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


def _cell(doc: ProvDocument, answer: Mapping[str, Any]) -> None:
    """A value of one settlement: its computation, definition, deliveries and earlier values."""
    code, kato, period = answer["kpi"]["code"], answer["settlement"]["kato"], answer["period"]["id"]
    computed = answer["computed"]
    more = {
        "settlement": answer["settlement"]["name_en"],
        "coverage": computed["coverage"],
        "published": answer["published"],
    }
    # a restated cell has one value for each sequence it was computed as of
    value = _value(doc, code, kato, period, computed["as_of_seq"], answer, more)
    computation = _computation(doc, answer, value)
    for delivery in answer["deliveries"]:
        _delivery(doc, delivery, value, computation, computed["as_of_seq"])
    newer = value
    for earlier in answer["earlier"]:
        more = {
            "computed_at": earlier["computed_at"],
            "definition_version": earlier["definition_version"],
            "restated_at_seq": earlier["valid_to_seq"],
            "deliveries_since": "; ".join(earlier["deliveries_since"]) or None,
        }
        older = _value(doc, code, kato, period, earlier["as_of_seq"], earlier, more)
        doc.wasRevisionOf(newer, older)
        newer = older


def _computation(doc: ProvDocument, answer: Mapping[str, Any], value: ProvEntity) -> ProvActivity:
    """The computation of a value by a definition, on the authority of its catalogue."""
    code, computed, words = answer["kpi"]["code"], answer["computed"], answer["definition"]
    label = f"catalogue {words['catalogue']} {words['catalogue_version']} ({words['catalogue_status']})"
    authority = doc.agent(
        f"agent:catalogue-{words['catalogue']}",
        _facts(kind="Organization", label=label, legal_basis=words["legal_basis"]),
    )
    plan = doc.entity(
        f"definition:{code}-{words['version']}",
        _facts(kind="Plan", label=f"{code} version {words['version']}", **{name: words[name] for name in _PLAN_FACTS}),
    )
    doc.wasAttributedTo(plan, authority)
    # the ledger row of the computation; what was never published was computed for this answer only
    number = computed["seq"] if answer["published"] else f"unpublished-{computed['as_of_seq']}"
    facts = _facts(
        label=f"computation of {code}",
        as_of_seq=computed["as_of_seq"],
        run_id=computed["run_id"],
        engine=computed["engine"],
        sql=answer["sql"],
    )
    computation = doc.activity(f"computation:{number}", None, computed["at"], facts)
    doc.wasAssociatedWith(computation, _qala(doc), plan)
    doc.wasGeneratedBy(value, computation, computed["at"])
    doc.used(computation, plan)
    return computation


def _delivery(
    doc: ProvDocument, delivery: Mapping[str, Any], value: ProvEntity, computation: ProvActivity, as_of: int
) -> None:
    """One delivery from its bytes to the rows of it that a value counts, or to its decision if the value counts none."""
    extract = _extract(doc, delivery)
    if delivery["loaded_at"] is None:  # it waits for a decision
        return
    number, checks = delivery["delivery_id"], delivery["checks"]
    failed = "; ".join(f"{c['rule']}: {c['observed']}" for c in checks["failed"])
    facts = _facts(
        label=f"{delivery['state']} delivery {number}",
        ledger_sequence=delivery["loaded_seq"],
        contract=delivery["contract_id"],
        contract_version=delivery["contract_version"],
        checks=checks["judged"],
        checks_passed=checks["passed"],
        checks_failed=failed or None,
    )
    load = doc.activity(f"load:{number}", None, delivery["loaded_at"], facts)
    doc.used(load, extract)
    doc.wasAssociatedWith(load, _qala(doc))
    if delivery["rows_in_this_number"]:
        facts = _facts(
            kind="Collection",
            label=f"rows of {delivery['table_name']} from delivery {number}",
            rows_in_this_number=delivery["rows_in_this_number"],
        )
        rows = doc.entity(f"rows:{number}", facts)
        doc.wasGeneratedBy(rows, load, delivery["loaded_at"])
        doc.wasDerivedFrom(rows, extract, load)
        doc.used(computation, rows)
        doc.wasDerivedFrom(value, rows, computation)
    elif delivery["loaded_seq"] <= as_of:
        # refused, or none of its rows counts: the state of the value depends on it all the same
        doc.wasInfluencedBy(value, load)


def _extract(doc: ProvDocument, delivery: Mapping[str, Any]) -> ProvEntity:
    """A delivery's bytes as received: their system, their receipt."""
    system = doc.agent(
        f"agent:system-{delivery['system']}", _facts(kind="SoftwareAgent", label=f"system {delivery['system']}")
    )
    # the same bytes may be delivered twice: they are one thing, each delivery of them another
    content = doc.entity(f"sha256:{delivery['sha256']}", _facts(bytes=delivery["bytes"]))
    named = ("table_name", "scope", "period_id", "state", "reason", "received_rows", "accepted_rows", "rejected_rows")
    facts = _facts(label=delivery["file_name"], **{name: delivery[name] for name in named})
    extract = doc.entity(f"delivery:{delivery['delivery_id']}", facts)
    doc.specializationOf(extract, content)
    at = delivery["received_at"]
    receipt = doc.activity(f"receipt:{delivery['receipt_id']}", None, at, _facts(label="receipt"))
    doc.wasGeneratedBy(extract, receipt, at)
    doc.wasAttributedTo(extract, system)
    doc.wasAssociatedWith(receipt, system)
    return extract


def _rollup(doc: ProvDocument, answer: Mapping[str, Any]) -> None:
    """A value over a larger territory or a year, and the cells that it is derived from."""
    code, area, period, computed = answer["kpi"]["code"], answer["area"], answer["period"]["id"], answer["computed"]
    value = _value(
        doc,
        code,
        area["code"],
        period,
        computed["as_of_seq"],
        answer,
        {
            "area_kind": area["kind"],
            "area": area["name_en"],
            "counted": answer["counted"],
            "applicable": answer["applicable"],
        },
    )
    activity = doc.activity(
        f"computation:{computed['seq']}",
        None,
        None,
        _facts(label=f"roll-up of {code}", method=answer["method"], as_of_seq=computed["as_of_seq"]),
    )
    doc.wasAssociatedWith(activity, _qala(doc))
    doc.wasGeneratedBy(value, activity)
    for one in answer["members"]:
        member = _value(doc, code, one["kato"], one["period_id"], None, one, {"settlement": one["name_en"]})
        doc.used(activity, member)
        if one["value"] is not None:
            doc.wasDerivedFrom(value, member, activity)


def _value(
    doc: ProvDocument,
    code: str,
    place: str,
    period: str,
    as_of: int | None,
    facts: Mapping[str, Any],
    more: Mapping[str, Any],
) -> ProvEntity:
    """A value with its parts and its state; without a value, the reason why."""
    names = ("numerator", "denominator", "sample_size", "state", "obs_status", "reason")
    found = _facts(label=f"{code} {place} {period}", **{name: facts.get(name) for name in names}, **more)
    if facts["value"] is not None:
        found["prov:value"] = facts["value"]
    cell = f"value:{code}/{place}/{period}"
    if as_of is None:
        return doc.entity(cell, found)
    version_of = doc.entity(f"{cell}/{as_of}", found)
    doc.specializationOf(version_of, doc.entity(cell))  # the cell, whichever value it has: what a roll-up names
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
