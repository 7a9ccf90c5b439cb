"""Answers to people: how one number came about, and how the whole stands. Reads the release only."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import Compiled, compile_kpi
from kpi_definitions.model import Grain, Kind, Kpi
from warehouse.isolation.sandbox import only_reads
from warehouse.kpi_values.compute import evaluate, window
from warehouse.kpi_values.rollup import over_time
from warehouse.periods import Period, parse_period
from warehouse.sql import literal
from warehouse.store.history import as_of, held
from warehouse.store.store import Store
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.settlements import named, nearest


class UnknownError(LookupError):
    """A KPI, settlement or period that does not exist; the message says what does."""


def as_json(answer: Any) -> str:
    """An answer as JSON, the same text each time: whole numbers without a point, dates and times in ISO 8601."""

    def plain(value: Any) -> Any:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        return value.isoformat() if hasattr(value, "isoformat") else str(value)

    return json.dumps(answer, default=plain, ensure_ascii=False, indent=2) + "\n"


def find_settlement(store: Store, text: str) -> tuple[str, str, str, str]:
    """(kato, English name, Russian name, item 7 group) by code or by name. Raises UnknownError."""
    rows = store.con.execute("SELECT kato, name_en, name_ru, item7_group, name_kk FROM registry.settlement").fetchall()
    among = [(row[0], (row[1], row[2], row[4])) for row in rows]
    found = named(text, among)
    if len(found) == 1:
        return next((row[0], row[1], row[2], row[3]) for row in rows if row[0] == found[0][0])
    near = [f"{kato} {names[0]}" for kato, names in found] or nearest(text, among)
    meant = f"did you mean {', '.join(near)}? " if near else ""
    raise UnknownError(f"no settlement {text!r}; {meant}All {len(rows)}: qala settlements")


def find_area(store: Store, text: str) -> tuple[str, str, str, str] | None:
    """(kind, code, English name, Russian name) of a region, an item 7 group or the country; None if it is none of them."""
    if text.upper() == "KZ":
        return ("country", "KZ", "Kazakhstan", "Казахстан")
    if text.lower() in {"republican", "regional", "district"}:
        return ("group", text.lower(), f"settlements of {text.lower()} value", f"группа {text.lower()}")
    row = store.con.execute(
        "SELECT kato, name_en, name_ru FROM registry.region WHERE (kato = ? OR kato[:2] = ? OR lower(?) IN (lower(name_en), lower(name_ru), "
        "lower(name_kk))) AND kato NOT IN (SELECT kato FROM registry.settlement)", [text, text, text]
    ).fetchone()  # fmt: skip
    return ("region", *row) if row else None


def _rolled(
    store: Store, catalogue: Catalogues, code: str, area: tuple[str, str, str, str], period: Period, seq: int | None
) -> dict[str, Any] | None:
    """A value over a larger territory or a year, with the cells it is made of; None if there is none."""
    kind, where, name_en, name_ru = area
    row = store.con.execute(
        f"SELECT * FROM kpi.rollup WHERE (kpi_code, area_kind, area, period_id) = (?, ?, ?, ?) AND {held(seq)}", [code, kind, where, period.id]
    )  # fmt: skip
    names = [d[0] for d in row.description or ()]
    found = row.fetchone()
    if found is None:
        return None
    current = dict(zip(names, found, strict=True))
    kpi = _definition(store, catalogue, code, current, period)
    column = {"settlement": "s.kato", "region": "s.region_kato", "group": "s.item7_group", "country": "'KZ'"}[kind]
    last = (
        " AND p.period_end = ?"
        if over_time(compile_kpi(kpi, store.columns())) == "last" and str(kpi.period) != period.grain
        else ""
    )
    members = store.con.execute(
        f"""SELECT v.kato, s.name_en, v.period_id, v.value, v.value_low, v.value_high, v.rejected_rows, v.gap_rows, v.numerator, v.denominator,
       v.sample_size, v.state, v.obs_status, v.reason
FROM kpi.value v JOIN registry.settlement s USING (kato) JOIN registry.period p ON p.id = v.period_id
WHERE v.kpi_code = ? AND {held(seq)} AND {column} = ?
  AND p.period_start >= ? AND p.period_end <= ?{last} AND v.obs_status <> {literal(ObsStatus.NOT_APPLICABLE)} ORDER BY v.value IS NULL, v.kato, v.period_id""",
        [code, where, period.start, period.end, *([period.end] if last else [])],
    )
    columns = [d[0] for d in members.description or ()]
    summed = (
        "quantile over the events of all of them"
        if kpi.kind is Kind.QUANTILE
        else "sum of numerators over sum of denominators"
    )
    return {
        "kpi": {"code": code, "name": kpi.name.model_dump(exclude_none=True), "unit": kpi.unit, "kind": str(kpi.kind)},
        "area": {"kind": kind, "code": where, "name_en": name_en, "name_ru": name_ru},
        "period": {"id": period.id, "start": period.start, "end": period.end - dt.timedelta(days=1)},
        **{n: current[n] for n in ("value", "value_low", "value_high", "rejected_rows", "gap_rows", "state", "obs_status", "reason", "numerator",
                                   "denominator", "sample_size", "counted", "applicable")},
        "computed": {"as_of_seq": current["as_of_seq"], "seq": current["valid_from_seq"]}, "as_published_at": seq, "method": summed,
        "definition": {"version": kpi.version, "hash": compile_kpi(kpi, store.columns()).fingerprint},
        "members": [dict(zip(columns, m, strict=True)) for m in members.fetchall()],
    }  # fmt: skip


def explain(
    store: Store, catalogue: Catalogues, code: str, settlement: str, period_text: str, seq: int | None = None
) -> dict[str, Any]:
    """Everything behind one number, as plain data; `seq`: as it was published at that ledger sequence.

    Raises UnknownError naming what exists.
    """
    if seq is not None and not 0 < seq <= store.last_seq:
        raise UnknownError(f"the ledger has no sequence {seq}; the release goes to {store.last_seq}")
    if code not in catalogue.codes:
        raise UnknownError(f"no KPI {code!r}; there are {', '.join(catalogue.codes)}")
    try:
        period = parse_period(period_text)
    except ValueError as error:
        raise UnknownError(str(error)) from error
    area = find_area(store, settlement)
    if area is None:
        kato, name_en, name_ru, group = find_settlement(store, settlement)
        if period.grain == "A" and catalogue.latest(code).period is not Grain.YEAR:
            area = ("settlement", kato, name_en, name_ru)
    if area is not None:
        rolled = _rolled(store, catalogue, code, area, period, seq)
        if rolled is not None:
            return rolled
        if area[0] != "settlement":
            when = "" if seq is None else f" at ledger sequence {seq}"
            raise UnknownError(
                f"{code} has not been computed for {area[2]} and {period.id}{when}; run: qala run {period.id}"
            )
    row = store.con.execute(
        f"SELECT * FROM kpi.value WHERE (kpi_code, kato, period_id) = (?, ?, ?) AND {held(seq)}",
        [code, kato, period.id],
    )
    names = [d[0] for d in row.description or ()]
    found = row.fetchone()
    current = dict(zip(names, found, strict=True)) if found else None
    kpi = _definition(store, catalogue, code, current, period)
    compiled = compile_kpi(kpi, store.columns())
    if current is None:
        current = _window(store, kpi, kato, period, seq)
    return {
        "kpi": {"code": code, "name": kpi.name.model_dump(exclude_none=True),
                "description": kpi.description.model_dump(exclude_none=True) if kpi.description else None, "unit": kpi.unit,
                "direction": kpi.direction, "kind": str(kpi.kind)},
        "settlement": {"kato": kato, "name_en": name_en, "name_ru": name_ru, "item7_group": group},
        "period": {"id": period.id, "start": period.start, "end": period.end - dt.timedelta(days=1)},
        "value": current["value"], "state": current["state"], "obs_status": current["obs_status"], "reason": current["reason"],
        "numerator": current["numerator"], "denominator": current["denominator"], "sample_size": current["sample_size"],
        "bounds": _bounds(current),
        "published": current.get("published", True),
        "computed": {"as_of_seq": current["as_of_seq"], "seq": current.get("valid_from_seq"), "at": current.get("computed_at"),
                     "run_id": current.get("run_id"), "coverage": current.get("coverage"), "qala": _code_version(store, current.get("valid_from_seq"))},
        "definition": _words(catalogue, compiled, kpi) | ({"catalogue_version": found[names.index("catalogue_version")]} if found else {}),
        "sql": _statement(compiled, kato, period, current["as_of_seq"]),
        "deliveries": _deliveries(store, compiled, kato, period, current["as_of_seq"], store.last_seq if seq is None else seq),
        "corrections": _corrections(store, compiled, kato, period, current["as_of_seq"]),
        "earlier": _earlier(store, compiled, kato, period, seq),
    }  # fmt: skip


def _bounds(current: Mapping[str, Any]) -> dict[str, Any] | None:
    """Between what the value lies and with which parts, and the uncertain rows that make it so; None for what was not published."""
    if "value_low" not in current:
        return None
    names = ("rejected_rows", "gap_rows", "numerator_low", "denominator_low", "numerator_high", "denominator_high")
    return {"low": current["value_low"], "high": current["value_high"], **{n: current[n] for n in names}}


def status(store: Store) -> dict[str, Any]:
    """How the released warehouse stands: newest period, deliveries and values by state, open warnings."""

    def row(sql: str) -> tuple[Any, ...]:
        return store.con.execute(sql).fetchone() or ()

    def counts(sql: str) -> dict[str, int]:
        return dict(store.con.execute(sql + " GROUP BY 1 ORDER BY 1").fetchall())

    current = "FROM kpi.value WHERE valid_to_seq IS NULL"
    latest, settlements = row(
        f"SELECT max(period_id) FILTER (WHERE regexp_full_match(period_id, '[0-9]{{4}}-[0-9]{{2}}')), count(DISTINCT kato) {current} AND value IS NOT NULL"
    )
    rows = row(
        "SELECT sum(received_rows)::BIGINT, sum(accepted_rows)::BIGINT, sum(rejected_rows)::BIGINT FROM audit.delivery"
    )
    released = row("SELECT seq, recorded_at FROM audit.ledger WHERE kind = 'released' ORDER BY seq DESC LIMIT 1")
    return {
        "latest_period": latest,
        "deliveries": counts("SELECT state, count(*) FROM audit.delivery"),
        "values": counts(f"SELECT state, count(*) {current}"),
        "rows": {name: n or 0 for name, n in zip(("received", "accepted", "rejected"), rows, strict=True)},
        "settlements_with_values": settlements,
        "release": dict(zip(("seq", "at"), released, strict=True)) if released else None,
    }


def _definition(
    store: Store, catalogue: Catalogues, code: str, current: Mapping[str, Any] | None, period: Period
) -> Kpi:
    """The definition a published value was computed with, as kept in the warehouse; else the one in force."""
    if current:
        row = store.con.execute(
            "SELECT definition FROM registry.kpi WHERE (code, version) = (?, ?)", [code, current["definition_version"]]
        ).fetchone()
        if row:
            return Kpi.model_validate_json(row[0])
    return catalogue.in_force(code, period.start) or catalogue.latest(code)


def _window(store: Store, kpi: Kpi, kato: str, period: Period, seq: int | None) -> dict[str, Any]:
    """A period no value was published for, evaluated now; plainly marked so."""
    value, numerator, denominator, sample = evaluate(store, kpi, kato, period.start, period.end, period.id, seq)
    if period.grain == kpi.period:
        reason = (
            f"{period.id} has not been computed yet: qala run {period.id}"
            if seq is None
            else f"{period.id} had not been computed at ledger sequence {seq}"
        )
    else:
        word = {"M": "month", "Q": "quarter", "A": "year"}[kpi.period]
        reason = f"the KPI is published by {word}; this is the same definition over the period asked for, without the rules of coverage and lateness"
    return {
        "published": False, "value": value, "numerator": numerator, "denominator": denominator, "sample_size": sample,
        "as_of_seq": store.last_seq if seq is None else seq,
        "state": "not published", "obs_status": None, "reason": reason,
    }  # fmt: skip


def _code_version(store: Store, seq: int | None) -> str | None:
    """The version of qala that made the entry of a computation."""
    row = store.con.execute("SELECT detail->>'$.qala' FROM audit.ledger WHERE seq = ?", [seq]).fetchone()
    return row[0] if row else None


def _words(catalogue: Catalogues, compiled: Compiled, kpi: Kpi) -> dict[str, Any]:
    head = catalogue.of(kpi.code).head

    def part(p: Any) -> str | None:
        return (
            None
            if p is None
            else p.aggregate + (f" where {p.filter}" if p.filter else "") + (f" from {p.rows.table}" if p.rows else "")
        )

    time = compiled.numerator.scan.time
    return {
        "version": kpi.version, "hash": compiled.fingerprint, "valid_from": kpi.valid_from, "valid_to": kpi.valid_to,
        "approved_by": kpi.approved_by, "change_note": kpi.change_note, "catalogue": head.id, "catalogue_version": head.version,
        "catalogue_status": head.status, "legal_basis": head.legal_basis,
        "formula": f"{kpi.scale} x numerator / denominator" if kpi.denominator else part(kpi.numerator),
        "rows": f"{kpi.rows.table}, {time} in the period" + (f", where {kpi.rows.filter}" if kpi.rows.filter else ""),
        "numerator": part(kpi.numerator), "denominator": part(kpi.denominator),
    }  # fmt: skip


def _statement(compiled: Compiled, kato: str, period: Period, seq: int) -> str:
    return (
        ";\n\n".join(
            s.sql(as_of(s.table, seq), window(kato, period.start, period.end, period.id), any_window=True)
            for s in compiled.scans
        )
        + ";"
    )


def _deliveries(
    store: Store, compiled: Compiled, kato: str, period: Period, seq: int, last: int
) -> list[dict[str, Any]]:
    """Deliveries whose rows stand behind the number, and those that came up to `last` and should have brought some."""
    rows: dict[int, int] = {}
    for scan in compiled.scans:
        # the sample where it is counted; of a figure that is looked up, the rows that give it
        sampled = scan == compiled.sample.scan
        counting = scan if sampled else scan.counting("rows_used")
        sql = counting.sql(
            as_of(scan.table, seq),
            window(kato, period.start, period.end, period.id),
            any_window=True,
            by="t.delivery_id",
        )
        only_reads(store.con, sql, scan.table)
        name = compiled.sample.column if sampled else "rows_used"
        rows.update(store.con.execute(f"SELECT delivery_id, {name} FROM ({sql}) WHERE {name} > 0").fetchall())
    tables = ", ".join(map(literal, compiled.tables))
    found = store.con.execute(f"""SELECT delivery_id, receipt_id, table_name, system, scope, period_id, state, reason, file_name, sha256, bytes, received_at,
       contract_id, contract_version, received_rows, accepted_rows, rejected_rows, loaded_seq, loaded_at
FROM audit.delivery WHERE delivery_id IN ({", ".join(map(str, rows)) or "NULL"})
   OR (table_name IN ({tables}) AND (scope = '{kato}' OR scope = 'KZ' OR (length(scope) = 2 AND starts_with('{kato}', scope)))
       AND period_start < DATE '{period.end}' AND period_end > DATE '{period.start}' AND state NOT IN ('duplicate', 'withdrawn')
       AND coalesce(loaded_seq, registered_seq) <= {last}) ORDER BY delivery_id""")
    names = [d[0] for d in found.description or ()]
    result = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    for one in result:
        delivery_id = [one["delivery_id"]]
        one["owner"] = store.tables[one["table_name"]].owner
        one["rows_in_this_number"] = rows.get(one["delivery_id"], 0)
        rejected = "SELECT rule, count(*) FROM audit.rejected_row WHERE delivery_id = ? AND column_name IS NULL GROUP BY 1 ORDER BY 1"
        one["rejected_by_rule"] = dict(store.con.execute(rejected, delivery_id).fetchall())
        checks = store.con.execute(
            "SELECT rule, severity, passed, observed, expected FROM audit.check_result WHERE delivery_id = ? ORDER BY rule", delivery_id
        ).fetchall()  # fmt: skip
        one["checks"] = {
            "judged": len(checks),
            "passed": sum(passed for _, _, passed, _, _ in checks),
            "failed": [
                {"rule": rule, "severity": severity, "observed": observed, "expected": expected}
                for rule, severity, passed, observed, expected in checks
                if not passed
            ],
        }
    return result


def _corrections(store: Store, compiled: Compiled, kato: str, period: Period, seq: int) -> list[dict[str, Any]]:
    """Declared corrections of rows behind the number: cell by cell what the source says and what was loaded instead."""
    found: list[dict[str, Any]] = []
    tables = ", ".join(map(literal, compiled.tables))
    known = f"FROM audit.correction WHERE outcome = 'applied' AND kato = '{kato}' AND table_name IN ({tables})"
    if not store.con.execute(f"SELECT count(*) {known}").fetchall()[0][0]:
        return found
    for scan in compiled.scans:
        rows = scan.counting("rows_used").sql(
            as_of(scan.table, seq),
            window(kato, period.start, period.end, period.id),
            any_window=True,
            by="t.delivery_id, t.row_no",
        )
        cursor = store.con.execute(f"SELECT c.* {known.replace('audit.correction', 'audit.correction c')} AND c.table_name = '{scan.table}' "
                                   f"AND (c.delivery_id, c.row_no) IN (SELECT (delivery_id, row_no) FROM ({rows})) ORDER BY ALL")  # fmt: skip
        names = [d[0] for d in cursor.description or ()]
        found += [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def _earlier(store: Store, compiled: Compiled, kato: str, period: Period, seq: int | None) -> list[dict[str, Any]]:
    """Values of the cell before the one that holds (or held at `seq`), newest first, each with the deliveries that may have changed it."""
    last = store.last_seq if seq is None else seq
    found = store.con.execute(
        "SELECT value, numerator, denominator, state, reason, definition_version, as_of_seq, computed_at, valid_to_seq, "
        "lead(as_of_seq) OVER (ORDER BY valid_from_seq) AS next_as_of FROM kpi.value WHERE (kpi_code, kato, period_id) = (?, ?, ?) "
        "QUALIFY valid_to_seq <= ? ORDER BY valid_from_seq DESC", [compiled.kpi.code, kato, period.id, last]
    )  # fmt: skip
    names = [d[0] for d in found.description or ()]
    result = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    for one in result:
        one["deliveries_since"] = _since(store, compiled, kato, period, one["as_of_seq"], one.pop("next_as_of"))
    return result


def _since(store: Store, compiled: Compiled, kato: str, period: Period, after: int, until: int) -> list[str]:
    """Deliveries of tables the KPI reads, decided on between two sequences: those for the period, and those by which rows of it came or went."""
    moved: set[int] = set()
    for scan in compiled.scans:
        rows = scan.counting("rows_moved").sql(
            f"""(SELECT * FROM (
    SELECT *, valid_from_seq AS moved FROM showcase.{scan.table} UNION ALL BY NAME
    SELECT * EXCLUDE (valid_to_seq), valid_from_seq AS moved FROM history.{scan.table} UNION ALL BY NAME
    SELECT * EXCLUDE (valid_to_seq), valid_to_seq AS moved FROM history.{scan.table}) WHERE moved > {after} AND moved <= {until})""",
            window(kato, period.start, period.end, period.id),
            any_window=True,
            by="t.moved",
        )
        moved |= {row[0] for row in store.con.execute(rows).fetchall()}
    tables = ", ".join(map(literal, compiled.tables))
    found = store.con.execute(
        f"""SELECT delivery_id, table_name, period_id, file_name FROM audit.delivery
WHERE loaded_seq > ? AND loaded_seq <= ? AND state IN ('loaded', 'refused') AND table_name IN ({tables})
  AND (scope = ? OR scope = 'KZ' OR (length(scope) = 2 AND starts_with(?, scope)))
  AND (period_start < ? AND period_end > ? OR loaded_seq IN ({", ".join(map(str, sorted(moved))) or "NULL"})) ORDER BY delivery_id""",
        [after, until, kato, kato, period.end, period.start],
    ).fetchall()
    return [f"{d} {table} {own} {file}" for d, table, own, file in found]
