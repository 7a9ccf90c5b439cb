"""Every published number made again, as an auditor would: from the rows, definitions and decisions that held at its own ledger
sequence, and compared with what was published, to the last digit. Reads the release; writes nothing but temporary tables.

Values with their parts, states and reasons; roll-ups from the values that held then; assessments from the year values that held
then. Works for what was restated since and for definitions that are no longer in force.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from kpi_definitions.model import AssessmentRules
from warehouse.audit.asked import LEVEL_WORDS, asked_kpi
from warehouse.audit.explain import UnknownError, find_area, find_settlement
from warehouse.audit.registered import registered_catalogue, registered_versions
from warehouse.home.account import account, shown
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import make
from warehouse.kpi_values.changed_values import VALUE_COLUMNS
from warehouse.kpi_values.computation import Computation
from warehouse.kpi_values.compute import compute_cells
from warehouse.kpi_values.measured_elsewhere import Elsewhere, in_step, ready_engine
from warehouse.kpi_values.rollup import ROLLUP_COLUMNS, compute_rollups, lay_out
from warehouse.kpi_values.states import describe
from warehouse.messages.messages import DEFAULT, rendered
from warehouse.periods import parse_period
from warehouse.sql import literal
from warehouse.store.history import held
from warehouse.store.ledger import ledger_head
from warehouse.store.sentences import list_wording, unchanged
from warehouse.store.sessions import locked, reading
from warehouse.store.store import Store
from warehouse.tables.views import year_values
from warehouse.tables.working_tables import create

_ASSESSMENT_KEYS = {
    "assessment_item": ("kato", "kpi_code"),
    "assessment_score": ("kato", "node_kind", "node"),
    "assessment_rank": ("kato",),
}
SHOWN = 50  # differences that are kept
FEW = 20  # numbers that are told one by one, equal or not


@dataclass(frozen=True)
class Difference:
    """A published figure and what came out when it was made again."""

    what: str  # value, roll-up or assessment
    where: str
    column: str
    published: str
    again: str


@dataclass(frozen=True)
class Made:
    """A number as published and as it was made again; the parts follow it."""

    what: str  # value or roll-up
    where: str
    published: str
    again: str
    equal: bool  # with its parts, state and reason


@dataclass
class Result:
    """How many figures were made again, how many of them came out equal, and the first that did not; by whom, when, from which ledger head."""

    made: dict[str, int] = field(default_factory=lambda: {"values": 0, "roll-ups": 0, "assessment figures": 0})
    differing: dict[str, int] = field(default_factory=lambda: {"values": 0, "roll-ups": 0, "assessment figures": 0})
    differences: list[Difference] = field(default_factory=list)
    numbers: list[Made] = field(default_factory=list)  # the first of those that were asked for
    by: str = ""
    at: str = ""  # ISO 8601, UTC
    head: str = ""  # SEQUENCE:HASH
    qala: str = ""
    engine: str = ""  # that measured the values, with its version; empty: the release's own DuckDB

    def add(self, kind: str, made: int, differing: int, found: Sequence[Difference]) -> None:
        self.made[kind] += made
        self.differing[kind] += differing
        self.differences += found[: max(0, SHOWN - len(self.differences))]


def reperform_home(
    home: Home,
    code: str | None,
    area: str | None,
    period: str | None,
    earlier: bool,
    threads: int | None,
    engine: str | None = None,
) -> Result:
    """`reperform` on a home's release, hardened; `area` by code or name. For a process of its own (worker.py).

    `engine`: the one that measures, by its name in the settings, which is given what the release holds; None: the release's own DuckDB.
    Raises UnknownError, EngineError, DocumentError.
    """
    measuring = ready_engine(home, engine) if engine else nullcontext()
    with measuring as ready, reading(home, threads=threads) as store:
        with locked(home, 0) if ready else nullcontext():
            elsewhere = in_step(store, ready, engine)
        where = None
        try:
            if code:
                code = code.upper() if code.upper() in LEVEL_WORDS else asked_kpi(store, code)
            period = parse_period(period).id if period else period
        except ValueError as error:
            raise UnknownError(str(error)) from None
        if area is not None:
            found = find_area(store, area)
            where = (found.kind, found.code) if found else ("settlement", find_settlement(store, area).kato)
        return reperform(store, code, where, period, earlier=earlier, elsewhere=elsewhere)


def reperform(
    store: Store,
    code: str | None = None,
    area: tuple[str, str] | None = None,
    period: str | None = None,
    *,
    earlier: bool = False,
    elsewhere: Elsewhere | None = None,
) -> Result:
    """Make figures again: of one KPI, of an area (kind, code), of a period; all of them where nothing is given. `code` LEVEL or PLACE: assessments.

    `earlier`: also those that were restated since. `elsewhere`: the engine that measures; states, roll-ups and assessments follow here.
    """
    seq, digest = ledger_head(store.con)
    result = Result(
        by=shown(account()),
        at=f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        head=f"{seq}:{digest}",
        qala=store.code_version,
        engine=str(elsewhere) if elsewhere else "",
    )
    if code in LEVEL_WORDS:
        _assessments(store, period, result, area[1] if area else None)
        return result
    now = "true" if earlier else "valid_to_seq IS NULL"
    chosen = [
        now,
        *(f"{column} = {literal(text)}" for column, text in (("kpi_code", code), ("period_id", period)) if text),
    ]
    if area is None or area[0] == "settlement":
        wanted = [*chosen, *([f"kato = {literal(area[1])}"] if area else [])]
        _values(store, " AND ".join(wanted), result, elsewhere)
    rolled = [*chosen, *([f"area_kind = {literal(area[0])} AND area = {literal(area[1])}"] if area else [])]
    _rollups(store, " AND ".join(rolled), result)
    if code is None and area is None:
        _assessments(store, period, result)
    return result


def _values(store: Store, where: str, result: Result, elsewhere: Elsewhere | None) -> None:
    con = store.con
    con.execute(f"""CREATE OR REPLACE TEMP TABLE work_claimed_value AS
SELECT v.*, (l.detail->>'$.today')::DATE AS today FROM (SELECT * FROM kpi.value WHERE {where}) v
LEFT JOIN audit.ledger l ON l.seq = v.valid_from_seq AND l.kind = 'computed' AND l.subject = v.kpi_code""")
    groups = con.execute(
        "SELECT as_of_seq, today, list(DISTINCT kpi_code ORDER BY kpi_code) FROM work_claimed_value GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for seq, today, codes in groups:
        versions = registered_versions(store, codes, seq)
        mine = f"as_of_seq = {seq} AND today IS NOT DISTINCT FROM {_day(today)}"
        unknown = sorted(set(codes) - {one.compiled.kpi.code for one in versions})
        if unknown or today is None:
            lost = con.execute(f"SELECT count(*) FROM work_claimed_value WHERE {mine}").fetchall()[0][0]
            why = f"no definition of {', '.join(unknown)}" if unknown else "no entry of a computation"
            found = [
                Difference(
                    "value", f"{', '.join(codes)} as of {seq}", "origin", f"{lost} values", f"{why} in the warehouse"
                )
            ]
            result.add("values", lost, lost, found)
            continue
        create(con, "work_due_cell")
        con.execute(f"""INSERT INTO work_due_cell
SELECT DISTINCT claimed.kpi_code, claimed.definition_version, claimed.kato, period.period_id, period.period_start, period.period_end, period.period_end
FROM work_claimed_value AS claimed JOIN registry.period AS period ON period.period_id = claimed.period_id WHERE {mine} ORDER BY ALL""")
        compute_cells(Computation(store, versions, today, seq=seq, elsewhere=elsewhere))
        source = f"FROM (SELECT * FROM work_claimed_value WHERE {mine}) c LEFT JOIN work_computed_value f USING (kpi_code, kato, period_id)"
        source = _with_wording(store, source, "work_computed_value", "work_claimed_value")
        label = "concat_ws(' ', c.kpi_code, c.kato, c.period_id)"
        made, differing, found = _compare(
            store, source, VALUE_COLUMNS, label, "value", "c.definition_hash IS DISTINCT FROM f.definition_hash"
        )
        result.add("values", made, differing, found)
        _tell(store, source, label, VALUE_COLUMNS, "value", result)


def _rollups(store: Store, where: str, result: Result) -> None:
    con = store.con
    con.execute(f"""CREATE OR REPLACE TEMP TABLE work_claimed_rollup AS SELECT r.*, c.last_seq FROM (SELECT * FROM kpi.rollup WHERE {where}) r
LEFT JOIN (SELECT as_of_seq, max(seq) AS last_seq FROM kpi.computation GROUP BY 1) c USING (as_of_seq)""")
    groups = con.execute(
        "SELECT as_of_seq, last_seq, list(DISTINCT kpi_code ORDER BY kpi_code) FROM work_claimed_rollup GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for seq, last_seq, codes in groups:
        versions = registered_versions(store, codes, seq)
        compiled = [one.compiled for one in versions]
        describe(store, versions)
        lay_out(store, compiled)
        con.execute(f"""CREATE OR REPLACE TEMP TABLE work_due_rollup AS
SELECT DISTINCT claimed.kpi_code, claimed.area_kind, claimed.area, period.period_id, period.period_start, period.period_end,
       period.grain <> sums.grain AS longer
FROM work_claimed_rollup AS claimed JOIN work_sum_over_time AS sums USING (kpi_code) JOIN registry.period AS period ON period.period_id = claimed.period_id
WHERE claimed.as_of_seq = {seq}""")
        compute_rollups(store, compiled, last_seq, seq)
        source = (
            f"FROM (SELECT * FROM work_claimed_rollup WHERE as_of_seq = {seq}) c "
            "LEFT JOIN work_computed_rollup f USING (kpi_code, area_kind, area, period_id)"
        )
        source = _with_wording(store, source, "work_computed_rollup", "work_claimed_rollup")
        label = "concat_ws(' ', c.kpi_code, c.area_kind, c.area, c.period_id)"
        made, differing, found = _compare(store, source, ROLLUP_COLUMNS, label, "roll-up", "false")
        result.add("roll-ups", made, differing, found)
        _tell(store, source, label, ROLLUP_COLUMNS, "roll-up", result)


def _assessments(store: Store, period: str | None, result: Result, kato: str | None = None) -> None:
    """Items, scores and places of every assessment that is kept, made again by its own rules; told number by number of `kato`."""
    con = store.con
    rows = con.execute(
        "SELECT assessment_id, seq, year, catalogue_id, as_of_seq, rules FROM kpi.assessment WHERE ? IS NULL OR year::VARCHAR = ? ORDER BY 1",
        [period, period],
    ).fetchall()
    for number, seq, year, catalogue_id, as_of_seq, rules in rows:
        catalogue = registered_catalogue(store, catalogue_id, seq)
        if catalogue is None:
            unknown = Difference(f"assessment {number}", str(year), "catalogue", catalogue_id, "not in the warehouse")
            result.add("assessment figures", 1, 1, [unknown])
            continue
        made = make(
            store,
            catalogue,
            AssessmentRules.model_validate_json(rules),
            year,
            f"({year_values(held(as_of_seq))})",
        )
        for table, columns, again in made.parts():
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE work_assessment_again AS SELECT {', '.join(columns)} FROM kpi.{table} LIMIT 0"
            )
            store.insert("work_assessment_again", list(columns), again)
            keys = _ASSESSMENT_KEYS[table]
            label = "concat_ws(' ', " + ", ".join(f"c.{k}" for k in keys) + ")"
            published = f"(SELECT * FROM kpi.{table} WHERE assessment_id = {number})"
            source = f"FROM {published} c FULL JOIN work_assessment_again f USING ({', '.join(keys)})"
            if "reason" in columns:
                source = _with_wording(store, source, "work_assessment_again", published)
            compared = [c for c in columns if c not in keys]
            figures, differing, found = _compare(
                store, source, compared, label, f"assessment {number}", "c.assessment_id IS NULL"
            )
            result.add("assessment figures", figures, differing, found)
        if kato is not None and kato in made.places:
            _tell_standing(
                store, number, year, kato, made.nodes[kato]["settlement", ""].level, made.places[kato][1], result
            )


def _with_wording(store: Store, source: str, again: str, published: str) -> str:
    """`source` with the wording of the reasons that were made again: what a former version published has them in words."""
    list_wording(store, again, published)
    return f"{source} LEFT JOIN work_wording AS wording ON f.reason = wording.message"


def _tell_standing(
    store: Store, number: int, year: int, kato: str, level: float, place: int | None, result: Result
) -> None:
    """A settlement's level and place as published and as made again."""
    row = store.con.execute(
        "SELECT score.level, place.rank FROM kpi.assessment_score AS score JOIN kpi.assessment_rank AS place USING (assessment_id, kato) "
        "WHERE (score.assessment_id, score.kato, score.node_kind) = (?, ?, 'settlement')",
        [number, kato],
    ).fetchone()
    published = row or (None, None)
    before, again = (f"level {one}, place {two or 'none'}" for one, two in (published, (level, place)))
    result.numbers.append(Made(f"assessment {number}", f"{kato} {year}", before, again, published == (level, place)))


def _compare(
    store: Store, source: str, columns: Sequence[str], label: str, what: str, also: str
) -> tuple[int, int, list[Difference]]:
    """Rows of `source` (c: published, f: made again), those that differ, and what differs in the first of them."""
    differs = " OR ".join([also, *(f"NOT ({unchanged(c, 'c', 'f')})" for c in columns)])
    row = store.con.execute(f"SELECT count(*), count(*) FILTER (WHERE {differs}) {source}").fetchone()
    assert row is not None
    if not row[1]:
        return int(row[0]), 0, []
    pairs = ", ".join(f"c.{c}::VARCHAR, f.{c}::VARCHAR" for c in columns)
    rows = store.con.execute(f"SELECT {label}, {pairs} {source} WHERE {differs} ORDER BY 1 LIMIT {SHOWN}").fetchall()
    return int(row[0]), int(row[1]), list(_differences(what, columns, rows))


def _tell(store: Store, source: str, label: str, columns: Sequence[str], what: str, result: Result) -> None:
    """Put the first numbers into the result, each as published and as made again."""
    if len(result.numbers) >= FEW:
        return

    def said(side: str) -> str:
        parts = f"coalesce(' = ' || {side}.numerator || ' / ' || {side}.denominator, '')"
        return f"coalesce({side}.value::VARCHAR, 'no value') || {parts} || ', sample ' || coalesce({side}.sample_size, 0) || ', ' || {side}.state"

    equal = " AND ".join(unchanged(c, "c", "f") for c in columns)
    rows = store.con.execute(
        f"SELECT {label}, {said('c')}, coalesce({said('f')}, 'nothing'), {equal} {source} ORDER BY 1 LIMIT {FEW - len(result.numbers)}"
    ).fetchall()
    result.numbers += [Made(what, *row) for row in rows]


def _differences(what: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Iterator[Difference]:
    for where, *pairs in rows:
        found = []
        for column, a, b in zip(columns, pairs[::2], pairs[1::2], strict=True):
            told = rendered(a, DEFAULT), rendered(b, DEFAULT)  # messages as sentences; a former version published these
            if a not in (b, told[1]):
                found.append((column, *(told if told[0] != told[1] else (a, b))))
        for column, one, two in found or [("definition", "as registered", "another")]:
            yield Difference(
                what, str(where), column, "nothing" if one is None else one, "nothing" if two is None else two
            )


def _day(day: dt.date | None) -> str:
    return "NULL" if day is None else f"DATE '{day}'"
