"""How one published number came about: value, definition, SQL, deliveries, corrections, earlier values. Reads the release only.

Does not belong here: levels and places (levels.py), rows one by one (rows.py), the release as a whole (status.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import Compiled, compile_kpi
from kpi_definitions.model import Grain, Kind, Kpi
from kpi_definitions.nearest import either, nearest
from kpi_definitions.scans import RowTime
from warehouse.audit.asked import asked_kpi, in_order, typed
from warehouse.audit.explain_inputs import find_corrections, find_deliveries, find_earlier_values
from warehouse.kpi_values.scans import evaluate, window
from warehouse.messages.messages import DEFAULT, Message, recorded, sentence, told_in
from warehouse.periods import Period, parse_period
from warehouse.sql import literal, statement
from warehouse.store.history import as_of, held
from warehouse.store.store import Store
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.settlements import UnknownPlaceError, is_country, one_place, places_named, several

_AREA_COLUMNS = {
    "settlement": "settlement.kato",
    "region": "settlement.region_kato",
    "group": "settlement.item7_group",
    "country": "'KZ'",
}
_ROLLUP_FIGURES = (
    "value",
    "value_low",
    "value_high",
    "rejected_rows",
    "gap_rows",
    "state",
    "obs_status",
    "reason",
    "numerator",
    "denominator",
    "sample_size",
    "counted",
    "applicable",
)
_CELL_FIGURES = ("value", "state", "obs_status", "reason", "numerator", "denominator", "sample_size")
_GROUPS = "SELECT item7_group FROM registry.item7_group"
_GRAIN_WORDS = {"M": "month", "Q": "quarter", "A": "year"}


class Area(NamedTuple):
    """A territory that values are summed over, or a settlement over a year."""

    kind: str  # settlement, region, group or country
    code: str
    name_en: str
    name_ru: str
    name_kk: str


class Settlement(NamedTuple):
    """A settlement of item 7."""

    kato: str
    name_en: str
    name_ru: str
    name_kk: str
    item7_group: str


class UnknownError(LookupError):
    """A KPI, settlement or period that does not exist; the message says what does."""


def as_json(answer: Any) -> str:
    """An answer as JSON, the same text each time: whole numbers without a point, dates and times in ISO 8601."""

    def plain(value: Any) -> Any:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        return value.isoformat() if hasattr(value, "isoformat") else str(value)

    return json.dumps(answer, default=plain, ensure_ascii=False, indent=2) + "\n"


def find_settlement(store: Store, text: str) -> Settlement:
    """A settlement by code or by name in any language. Raises UnknownError."""
    columns = ", ".join(Settlement._fields)
    rows = [Settlement(*row) for row in store.con.execute(f"SELECT {columns} FROM registry.settlement").fetchall()]
    try:
        kato, _ = one_place(text, [(row.kato, (row.name_en, row.name_ru, row.name_kk)) for row in rows])
    except UnknownPlaceError as error:
        raise UnknownError(str(error)) from None
    return next(row for row in rows if row.kato == kato)


def find_area(store: Store, text: str) -> Area | None:
    """A region, an item 7 group or the country by code or name; None if it is none of them. Raises UnknownError if it may be several places."""
    if is_country(text):
        return Area("country", "KZ", *(sentence("views.country", language) for language in ("en", "ru", "kk")))
    row = store.con.execute(
        "SELECT 'group', item7_group, name_en, name_ru, name_kk FROM registry.item7_group WHERE item7_group = lower(?)",
        [text],
    ).fetchone()
    if row:
        return Area(*row)
    query = "SELECT kato, name_en, name_ru, name_kk FROM registry."
    towns = [(kato, names) for kato, *names in store.con.execute(f"{query}settlement").fetchall()]
    taken = {kato for kato, _ in towns}
    provinces = [(k, names) for k, *names in store.con.execute(f"{query}region").fetchall() if k not in taken]
    found = places_named(text, towns, provinces)
    if len(found) > 1:
        raise UnknownError(several(text, found))
    return Area("region", found[0][0], *found[0][1]) if found and found[0] in provinces else None


def explain(
    store: Store,
    catalogue: Catalogues,
    code: str,
    settlement: str,
    period_text: str,
    seq: int | None = None,
    language: str = DEFAULT,
) -> dict[str, Any]:
    """How a number came about, as plain data, its sentences in a language; `seq`: as it was published at that ledger sequence.

    `settlement`: a settlement, a region, an item 7 group or KZ, by code or name. A number that is made of cells has `members`.
    Raises UnknownError naming what exists.
    """
    answer: dict[str, Any] = told_in(_explain(store, catalogue, code, settlement, period_text, seq), language)
    return answer


def _explain(
    store: Store, catalogue: Catalogues, code: str, settlement: str, period_text: str, seq: int | None
) -> dict[str, Any]:
    """The answer with messages as they are recorded."""
    if seq is not None and not 0 < seq <= store.last_seq:
        raise UnknownError(f"the ledger has no sequence {seq}; the release goes to {store.last_seq}")
    refuse_order(store, (code, settlement, period_text), catalogue.codes)
    try:
        code, period = asked_kpi(store, code, catalogue.codes), parse_period(period_text)
    except ValueError as error:
        raise UnknownError(str(error)) from error
    area = find_area(store, settlement)
    if area is None:
        if near := nearest(settlement, [one for (one,) in store.con.execute(_GROUPS).fetchall()]):
            raise UnknownError(f"{settlement!r} is no settlement, region or group; did you mean {either(near)}?")
        found = find_settlement(store, settlement)
        if period.grain == "A" and catalogue.latest(code).period is not Grain.YEAR:
            area = Area("settlement", *found[:4])
    if area is not None:
        rollup = _explain_rollup(store, catalogue, code, area, period, seq)
        if rollup is not None:
            return rollup
        if area.kind != "settlement":
            when = "" if seq is None else f" at ledger sequence {seq}"
            raise UnknownError(
                f"{code} has not been computed for {area.name_en} and {period.id}{when}; run: qala run {period.id}"
            )
    return _explain_cell(store, catalogue, code, found, period, seq)


def refuse_order(store: Store, asked: tuple[str, str, str], codes: Collection[str]) -> None:
    """Raises UnknownError if KPI, settlement and period are all there, in another order."""
    if (meant := in_order(store, asked, codes)) != asked:
        raise UnknownError(f"the order is KPI, settlement, period: {typed(meant)}")


def _explain_rollup(
    store: Store, catalogue: Catalogues, code: str, area: Area, period: Period, seq: int | None
) -> dict[str, Any] | None:
    """A value over a larger territory or a year, with the cells it is made of; None if there is none."""
    rows = store.select(
        f"SELECT * FROM kpi.rollup WHERE (kpi_code, area_kind, area, period_id) = (?, ?, ?, ?) AND {held(seq)}",
        [code, area.kind, area.code, period.id],
    )
    if not rows:
        return None
    current = rows[0]
    kpi = _definition(store, catalogue, code, current, period)
    compiled = compile_kpi(kpi, store.columns())
    method = recorded({"code": "explain.quantile_of_all" if kpi.kind is Kind.QUANTILE else "explain.sum_of_parts"})
    return {
        "kpi": {"code": code, "name": kpi.name.model_dump(exclude_none=True), "unit": kpi.unit, "kind": str(kpi.kind)},
        "area": area._asdict(),
        "period": _period(period),
        **{name: current[name] for name in _ROLLUP_FIGURES},
        "computed": {"as_of_seq": current["as_of_seq"], "seq": current["valid_from_seq"]},
        "as_published_at": seq,
        "method": method,
        "definition": {"version": kpi.version, "hash": compiled.fingerprint},
        "members": _members(store, compiled, area, period, seq),
    }


def _members(store: Store, compiled: Compiled, area: Area, period: Period, seq: int | None) -> list[dict[str, Any]]:
    """The cells that a roll-up is made of."""
    from warehouse.kpi_values.rollup import over_time  # a value of one settlement needs nothing of it

    kpi = compiled.kpi
    newest_only = over_time(compiled) == "last" and str(kpi.period) != period.grain
    period_end = f"DATE '{period.end}'"
    return store.select(
        statement(
            __file__,
            "explain_rollup_members",
            code=literal(kpi.code),
            held=held(seq),
            of_area=f"{_AREA_COLUMNS[area.kind]} = {literal(area.code)}",
            period_start=f"DATE '{period.start}'",
            period_end=period_end,
            of_last_period=f"period.period_end = {period_end}" if newest_only else "TRUE",
            not_applicable=literal(ObsStatus.NOT_APPLICABLE),
        )
    )


def _explain_cell(
    store: Store,
    catalogue: Catalogues,
    code: str,
    settlement: Settlement,
    period: Period,
    seq: int | None,
) -> dict[str, Any]:
    """A value of one settlement."""
    kato = settlement.kato
    published = store.select(
        f"SELECT * FROM kpi.value WHERE (kpi_code, kato, period_id) = (?, ?, ?) AND {held(seq)}",
        [code, kato, period.id],
    )
    kpi = _definition(store, catalogue, code, published[0] if published else None, period)
    compiled = compile_kpi(kpi, store.columns())
    current = published[0] if published else _evaluated(store, kpi, kato, period, seq)
    definition = _described_definition(catalogue, compiled)
    if published:
        definition["catalogue_version"] = current["catalogue_version"]
    as_of_seq = current["as_of_seq"]
    last_seq = store.last_seq if seq is None else seq
    return {
        "kpi": {
            "code": code,
            "name": kpi.name.model_dump(exclude_none=True),
            "description": kpi.description.model_dump(exclude_none=True) if kpi.description else None,
            "unit": kpi.unit,
            "direction": kpi.direction,
            "kind": str(kpi.kind),
        },
        "settlement": settlement._asdict(),
        "period": _period(period),
        **{name: current[name] for name in _CELL_FIGURES},
        "bounds": _bounds(current),
        "published": bool(published),
        "computed": _computed(store, current),
        "definition": definition,
        "sql": queries(compiled, kato, period, as_of_seq),
        "deliveries": find_deliveries(store, compiled, kato, period, as_of_seq, last_seq),
        "corrections": find_corrections(store, compiled, kato, period, as_of_seq),
        "earlier": find_earlier_values(store, compiled, kato, period, seq),
    }


def _period(period: Period) -> dict[str, Any]:
    return {"id": period.id, "start": period.start, "end": period.end - dt.timedelta(days=1)}


def _computed(store: Store, current: Mapping[str, Any]) -> dict[str, Any]:
    """When a value was computed, as of which ledger sequence, by which run, version of qala and engine (None: the warehouse's own DuckDB);
    what was not published has no run.
    """
    seq = current.get("valid_from_seq")
    said = "SELECT detail->>'$.qala', detail->>'$.engine' FROM audit.ledger WHERE seq = ?"
    version, engine = store.con.execute(said, [seq]).fetchone() or (None, None)
    return {
        "as_of_seq": current["as_of_seq"],
        "seq": seq,
        "at": current.get("computed_at"),
        "run_id": current.get("run_id"),
        "coverage": current.get("coverage"),
        "qala": version,
        "engine": engine,
    }


def _bounds(current: Mapping[str, Any]) -> dict[str, Any] | None:
    """The bounds of a value, the parts at each bound, and the uncertain rows that they come from; None for what was not published."""
    if "value_low" not in current:
        return None
    names = ("rejected_rows", "gap_rows", "numerator_low", "denominator_low", "numerator_high", "denominator_high")
    return {"low": current["value_low"], "high": current["value_high"], **{n: current[n] for n in names}}


def _definition(
    store: Store, catalogue: Catalogues, code: str, current: Mapping[str, Any] | None, period: Period
) -> Kpi:
    """The definition that a published value was computed with, as kept in the warehouse; else the one in force."""
    if current:
        row = store.con.execute(
            "SELECT definition FROM registry.kpi WHERE (kpi_code, definition_version) = (?, ?)",
            [code, current["definition_version"]],
        ).fetchone()
        if row:
            return Kpi.model_validate_json(row[0])
    return catalogue.in_force(code, period.start) or catalogue.latest(code)


def _evaluated(store: Store, kpi: Kpi, kato: str, period: Period, seq: int | None) -> dict[str, Any]:
    """A value for a period that has none published: evaluated now, and marked as not published."""
    from warehouse.kpi_values.outstanding import running_month  # a published value needs nothing of it

    value, numerator, denominator, sample = evaluate(store, kpi, kato, period.start, period.end, period.id, seq)
    if period.grain != kpi.period:
        reason: Message = {"code": "explain.other_grain", "grain": {"code": f"explain.{_GRAIN_WORDS[kpi.period]}"}}
    elif seq is None:
        waits = period.closing_month >= running_month()
        reason = {"code": "explain.not_ended" if waits else "explain.not_computed", "period": period.id}
    else:
        reason = {"code": "explain.not_computed_at", "period": period.id, "seq": seq}
    return {
        "value": value,
        "numerator": numerator,
        "denominator": denominator,
        "sample_size": sample,
        "as_of_seq": store.last_seq if seq is None else seq,
        "state": "not published",
        "obs_status": None,
        "reason": recorded(reason),
    }


def _described_definition(catalogue: Catalogues, compiled: Compiled) -> dict[str, Any]:
    """What a definition counts and on whose authority, in words."""
    kpi, head = compiled.kpi, catalogue.of(compiled.kpi.code).head

    def part(given: Any) -> str | None:
        if given is None:
            return None
        said: Message = {"code": "explain.part", "aggregate": str(given.aggregate)}
        if given.filter:
            said = {**said, "code": "explain.part_filtered", "filter": str(given.filter)}
        if given.rows:
            said = {"code": "explain.part_of_table", "part": said, "table": given.rows.table}
        return recorded(said)

    rows = {"code": "explain.rows_in_period", "table": kpi.rows.table, "time": _said_time(compiled.numerator.scan.time)}
    if kpi.rows.filter:
        rows |= {"code": "explain.rows_filtered", "filter": str(kpi.rows.filter)}
    ratio = recorded({"code": "explain.ratio", "scale": str(kpi.scale)})
    return {
        "version": kpi.version,
        "hash": compiled.fingerprint,
        "valid_from": kpi.valid_from,
        "valid_to": kpi.valid_to,
        "approved_by": kpi.approved_by,
        "change_note": kpi.change_note,
        "catalogue": head.id,
        "catalogue_version": head.version,
        "catalogue_status": head.status,
        "legal_basis": head.legal_basis,
        "legal_basis_ru": head.legal_basis_ru,
        "legal_basis_kk": head.legal_basis_kk,
        "formula": ratio if kpi.denominator else part(kpi.numerator),
        "rows": recorded(rows),
        "numerator": part(kpi.numerator),
        "denominator": part(kpi.denominator),
    }


def _said_time(time: RowTime) -> Message:
    """By which rule rows fall into a period."""
    return {"code": f"explain.time_{time.rule}", "columns": " ".join(time.columns)}


def queries(compiled: Compiled, kato: str, period: Period, seq: int) -> str:
    """The SQL of the definition for one cell, as of a ledger sequence: a statement for each scan."""
    cell = window(kato, period.start, period.end, period.id)
    queries = (scan.sql(as_of(scan.table, seq), cell, any_window=True) for scan in compiled.scans)
    return ";\n\n".join(queries) + ";"
