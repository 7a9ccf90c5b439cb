"""What an evidence pack of a roll-up, a level or a place holds: the cells or scores it is summed from, and SQL that sums them again.

A cell's own rows are not in it, but for quantiles, which cannot be summed: a pack of the cell has them. How a pack is written as a whole,
and the ledger in it: evidence.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kpi_definitions.catalogue import Catalogues
from kpi_definitions.compiler import Compiled, columns_of, compile_kpi
from kpi_definitions.model import AssessmentRules, Category, Kind, Kpi
from warehouse.audit.evidence_readme import CHECK_EN, CHECK_RU
from warehouse.audit.explain import explain
from warehouse.sql import literal
from warehouse.store.history import as_of, held
from warehouse.store.store import Store
from warehouse.tables.obs_status import WITH_PARTS, in_sql
from warehouse.tables.value_formula import VALUE
from warehouse.tables.views import YEAR_VALUES

_COUNT = f"obs_status IN {in_sql(WITH_PARTS)}"  # cells that a sum takes in
_PLACES = 1e-6  # by which a sum of weights and scores in another order may differ


@dataclass(frozen=True)
class Rollup:
    """A roll-up, with what it was computed by."""

    answer: Mapping[str, Any]  # as `explain` gives it, with `members`
    compiled: Compiled
    seq: int  # the ledger sequence at which rows were read

    @property
    def label(self) -> str:
        return f"{self.answer['kpi']['code']}-{self.answer['area']['code']}-{self.answer['period']['id']}"


def find_rollup(
    store: Store, catalogue: Catalogues, code: str, area: str, period: str, seq: int | None = None
) -> Rollup | None:
    """The roll-up asked for, or None if that is a cell. Raises UnknownError if there is no such number."""
    answer = explain(store, catalogue, code, area, period, seq)
    if "members" not in answer:
        return None
    version = answer["definition"]["version"]
    text = store.con.execute(
        "SELECT definition FROM registry.kpi WHERE (code, version) = (?, ?)", [code, version]
    ).fetchall()[0][0]
    return Rollup(answer, compile_kpi(Kpi.model_validate_json(text), store.columns()), answer["computed"]["as_of_seq"])


# ---- a roll-up


def rollup_tables(store: Store, one: Rollup) -> dict[str, str]:
    """File of the pack → the query it holds."""
    place = " OR ".join(
        f"(kato, period_id) = ({literal(m['kato'])}, {literal(m['period_id'])})" for m in one.answer["members"]
    )
    seq = one.answer["as_published_at"]
    cells = (
        f"SELECT v.kato, s.name_en, v.period_id, v.period_start, p.period_end, v.definition_version, v.value, v.numerator, v.denominator, v.sample_size, "
        f"v.obs_status, v.state, v.{_COUNT} AS counts, v.rejected_rows, v.gap_rows, v.valid_from_seq FROM kpi.value v JOIN registry.settlement s "
        f"USING (kato) JOIN registry.period p ON p.id = v.period_id WHERE v.kpi_code = {literal(one.compiled.kpi.code)} AND {held(seq)} "
        f"AND ({place or 'false'}) ORDER BY v.kato, v.period_id"
    ).replace("(kato, period_id)", "(v.kato, v.period_id)")
    found = {"cells.parquet": cells}
    if one.compiled.kpi.kind is Kind.QUANTILE:
        scan = one.compiled.numerator.scan
        table = store.tables[scan.table]
        reads = [c for t, c in columns_of(one.compiled.kpi) if t == scan.table and c not in table.identity]
        store.con.execute(
            f"CREATE OR REPLACE TEMP TABLE pack_cell AS SELECT *, period_end AS period_end_population_date FROM ({cells}) WHERE counts"
        )
        rows = scan.rows(
            as_of(scan.table, one.seq),
            "pack_cell",
            ("delivery_id", "row_no", *table.identity, *reads),
            {},
            any_window=True,
        )
        found[f"rows/{scan.table}.parquet"] = f"SELECT DISTINCT * FROM ({rows}) ORDER BY delivery_id, row_no"
    return found


def rollup_script(one: Rollup, ledger: str) -> Iterator[str]:
    """Statements of recompute.sql; the last one gives one row."""
    a, kpi = one.answer, one.compiled.kpi
    yield f"-- {kpi.code} of {a['area']['name_en']} for {a['period']['id']}, summed again from the cells beside this file."
    yield '-- In this folder: duckdb -c ".read recompute.sql"   (DuckDB 1.3 or later; README.md says more)'
    yield "SET TimeZone = 'UTC';"
    yield "\n-- 1. The ledger: each row is hashed with the one before it."
    yield ledger
    yield "\n-- 2. The cells, and what is summed of them."
    yield "CREATE OR REPLACE TEMP TABLE cell AS FROM read_parquet('cells.parquet');"
    yield f"""CREATE OR REPLACE TEMP TABLE summed AS
SELECT sum(numerator) FILTER (WHERE counts) AS top, sum(denominator) FILTER (WHERE counts) AS bottom,
       coalesce(sum(sample_size) FILTER (WHERE counts), 0)::BIGINT AS s, count(*) FILTER (WHERE counts) AS counted,
       {kpi.scale} AS scale, '{kpi.kind}' AS kind FROM cell;"""
    n = "CAST(top AS DOUBLE)"
    if kpi.kind is Kind.QUANTILE:
        scan, name = one.compiled.numerator.scan, one.compiled.numerator.column
        yield "\n-- A quantile is that of all events of the cells, not of their quantiles."
        yield f"CREATE SCHEMA IF NOT EXISTS showcase;\nCREATE OR REPLACE VIEW showcase.{scan.table} AS FROM read_parquet('rows/{scan.table}.parquet');"
        yield "CREATE OR REPLACE TEMP TABLE counted AS SELECT 1 AS target, *, period_end AS period_end_population_date FROM cell WHERE counts;"
        yield f"CREATE OR REPLACE TEMP TABLE event AS\n{scan.sql(f'showcase.{scan.table}', 'counted', any_window=True, by='c.target')};"
        n = f"(SELECT {name} FROM event)"
    exact = kpi.kind is not Kind.QUANTILE
    recorded = {
        "value": ("DOUBLE", a["value"]), "numerator": ("DECIMAL(38,6)", a["numerator"] if exact else None),
        "denominator": ("DECIMAL(38,6)", a["denominator"] if exact else None), "sample": ("BIGINT", a["sample_size"] or 0), "counted": ("BIGINT", a["counted"]),
    }  # fmt: skip
    yield f"CREATE OR REPLACE TEMP TABLE recorded AS SELECT {', '.join(f'CAST({literal(v)} AS {t}) AS {name}' for name, (t, v) in recorded.items())};"
    shown = VALUE
    if a["value"] is None:
        yield f"-- Its state is {a['state']!r}: no value is published. Numerator, denominator and sample are compared."
        shown = "NULL"
    parts = "top AS numerator, bottom AS denominator" if exact else "NULL AS numerator, NULL AS denominator"
    yield f"""CREATE OR REPLACE TEMP TABLE computed AS
SELECT CAST({shown} AS DOUBLE) AS value, {parts}, s AS sample, counted
FROM (SELECT *, {n} AS n, CAST(bottom AS DOUBLE) AS d FROM summed);
SELECT 'value ' || coalesce(r.value::VARCHAR, 'none') || ', ' || coalesce(r.numerator, 0) || ' / ' || coalesce(r.denominator, 0)
           || ', sample ' || r.sample || ', cells ' || r.counted AS expected,
       'value ' || coalesce(c.value::VARCHAR, 'none') || ', ' || coalesce(c.numerator, 0)::DECIMAL(38,6) || ' / '
           || coalesce(c.denominator, 0)::DECIMAL(38,6) || ', sample ' || c.sample || ', cells ' || c.counted AS computed,
       r.value IS NOT DISTINCT FROM c.value AND coalesce(r.numerator, 0) = coalesce(c.numerator, 0)
           AND coalesce(r.denominator, 0) = coalesce(c.denominator, 0) AND r.sample = c.sample AND r.counted = c.counted AS equal,
       ledger_intact
FROM recorded r, computed c, ledger;"""


# ---- a level and a place


def standing_label(answer: Mapping[str, Any]) -> str:
    return f"{answer['code'] or 'level'}-{answer['settlement']['kato']}-{answer['year']}"


def standing_tables(answer: Mapping[str, Any], rules: AssessmentRules) -> dict[str, str]:
    """File of the pack → the query it holds: of all settlements of the group, as each decides the others' places."""
    made, group = answer["assessment"], answer["settlement"]["item7_group"]
    mine = f"assessment_id = {made['assessment_id']} AND kato IN (SELECT kato FROM registry.settlement WHERE item7_group = {literal(group)})"
    scales = [
        (code, scale.floor, scale.goal)
        for code in sorted(rules.scales)
        if (scale := rules.scale(code, Category(group)))
    ]
    weights = [
        (kind, code, weight)
        for kind, given in rules.weights.model_dump().items()
        for code, weight in sorted(given.items())
    ]
    return {
        "items.parquet": f"""SELECT i.* EXCLUDE (assessment_id), k.initiative, k.sphere FROM kpi.assessment_item i
JOIN (FROM registry.kpi QUALIFY row_number() OVER (PARTITION BY code ORDER BY version DESC) = 1) k ON k.code = i.kpi_code
WHERE {mine} ORDER BY kato, kpi_code""",
        "values.parquet": f"""SELECT y.* FROM ({YEAR_VALUES.format(held=held(made["as_of_seq"]))}) y WHERE year = {literal(answer["year"])}
AND kato IN (SELECT kato FROM registry.settlement WHERE item7_group = {literal(group)}) ORDER BY kato, kpi_code""",
        "scores.parquet": f"SELECT * EXCLUDE (assessment_id) FROM kpi.assessment_score WHERE {mine} ORDER BY kato, node_kind, node",
        "places.parquet": f"""SELECT r.* EXCLUDE (assessment_id), s.name_en FROM kpi.assessment_rank r JOIN registry.settlement s USING (kato)
WHERE {mine} ORDER BY kato""",
        "scales.parquet": _given(scales, "kpi_code", "floor", "goal"),
        "weights.parquet": _given(weights, "kind", "code", "weight"),
    }  # fmt: skip


def _given(rows: Sequence[tuple[str | float, ...]], *names: str) -> str:
    """A query that gives rows of the rules; without any, one that gives none."""
    cells = [
        f"({', '.join(literal(v) if isinstance(v, str) else f'{float(v)!r}::DOUBLE' for v in row)})" for row in rows
    ]
    none = f"({', '.join(['NULL'] * len(names))})"
    return f"SELECT * FROM (VALUES {', '.join(cells) or none}) t({', '.join(names)}) WHERE {names[0]} IS NOT NULL"


def rules_of(store: Store, answer: Mapping[str, Any]) -> AssessmentRules:
    """The rules that the assessment was made by, as kept with it."""
    text = store.con.execute(
        "SELECT rules FROM kpi.assessment WHERE assessment_id = ?", [answer["assessment"]["assessment_id"]]
    ).fetchall()[0][0]
    return AssessmentRules.model_validate_json(text)


def standing_script(answer: Mapping[str, Any], rules: AssessmentRules, ledger: str) -> Iterator[str]:
    """Statements of recompute.sql; the last one gives one row."""
    place, made = answer["settlement"], answer["assessment"]
    kato = literal(place["kato"])
    kind, node = (answer["what"], answer["code"]) if answer["code"] else ("settlement", place["kato"])
    inside = "true" if kind == "settlement" else f"{kind} = {literal(node)}"
    yield f"-- Level{' of ' + answer['code'] if answer['code'] else ' and place'} of {place['name_en']} in {answer['year']}, summed again."
    yield '-- In this folder: duckdb -c ".read recompute.sql"   (DuckDB 1.3 or later; README.md says more)'
    yield "SET TimeZone = 'UTC';"
    yield "\n-- 1. The ledger: each row is hashed with the one before it; the assessment has one."
    yield ledger
    yield f"""CREATE OR REPLACE TEMP TABLE entered AS SELECT coalesce(bool_or(kind = 'assessed' AND subject = {literal(answer["year"])}
    AND (detail->>'$.assessment') = {literal(str(made["assessment_id"]))}), false) AS in_ledger
FROM read_parquet('ledger.parquet') WHERE seq = {made["seq"]};"""
    yield "\n-- 2. Scores: 0 to 100 between floor and goal. A value that the year has, and fewer periods than the rules ask for, is left out with its reason."
    yield """CREATE OR REPLACE TEMP TABLE item AS
SELECT i.*, v.value AS year_value,
       CASE WHEN i.value IS NOT NULL AND s.goal IS NOT NULL THEN 100 * least(1.0, greatest(0.0, (i.value - s.floor) / (s.goal - s.floor))) END AS score_again
FROM read_parquet('items.parquet') i LEFT JOIN read_parquet('values.parquet') v ON (v.kato, v.kpi_code) = (i.kato, i.kpi_code)
LEFT JOIN read_parquet('scales.parquet') s ON s.kpi_code = i.kpi_code;"""
    yield f"""CREATE OR REPLACE TEMP TABLE wrong_score AS
SELECT kato, kpi_code, score, score_again FROM item WHERE (value IS NOT NULL AND value IS DISTINCT FROM year_value)
    OR (score IS NULL) <> (score_again IS NULL) OR abs(score - score_again) > {_PLACES};"""
    yield "\n-- 3. Weights: what applies shares its whole among spheres, in each among initiatives, in each among KPIs."
    yield f"""CREATE OR REPLACE TEMP TABLE given AS FROM read_parquet('weights.parquet');
CREATE OR REPLACE TEMP TABLE weighed AS
WITH leaf AS (SELECT DISTINCT kato, sphere, initiative, kpi_code FROM item),
k AS (SELECT l.*, coalesce(g.weight, 1) AS w FROM leaf l LEFT JOIN given g ON g.kind = 'kpis' AND g.code = l.kpi_code),
i AS (SELECT DISTINCT l.kato, l.sphere, l.initiative, coalesce(g.weight, 1) AS w
      FROM leaf l LEFT JOIN given g ON g.kind = 'initiatives' AND g.code = l.initiative),
s AS (SELECT DISTINCT l.kato, l.sphere, coalesce(g.weight, 1) AS w FROM leaf l LEFT JOIN given g ON g.kind = 'spheres' AND g.code = l.sphere)
SELECT k.kato, k.kpi_code, k.w / sum(k.w) OVER (PARTITION BY k.kato, k.initiative) * i.share * s.share AS weight_again
FROM k JOIN (SELECT *, w / sum(w) OVER (PARTITION BY kato, sphere) AS share FROM i) i USING (kato, initiative)
JOIN (SELECT *, w / sum(w) OVER (PARTITION BY kato) AS share FROM s) s ON (s.kato, s.sphere) = (k.kato, k.sphere);
CREATE OR REPLACE TEMP TABLE wrong_weight AS SELECT * FROM item JOIN weighed USING (kato, kpi_code) WHERE abs(weight - weight_again) > {_PLACES};"""
    yield "\n-- 4. The sum, and the place among those of the group with enough coverage."
    yield f"""CREATE OR REPLACE TEMP TABLE summed AS
SELECT kato, sum(weight * coalesce(score, 0)) / sum(weight) AS level, coalesce(sum(weight) FILTER (WHERE score IS NOT NULL), 0) / sum(weight) AS coverage
FROM item GROUP BY kato;
CREATE OR REPLACE TEMP TABLE ranked AS SELECT *, rank() OVER (ORDER BY round(level, 6) DESC) AS place FROM summed
    WHERE round(coverage, 9) >= {rules.minimum_coverage!r};
CREATE OR REPLACE TEMP TABLE wrong_level AS SELECT s.kato FROM summed s JOIN read_parquet('scores.parquet') c ON c.kato = s.kato AND c.node_kind = 'settlement'
    WHERE abs(c.level - s.level) > {_PLACES};
FROM (SELECT p.name_en, r.place, round(s.level, 6) AS level, round(s.coverage, 6) AS coverage FROM summed s LEFT JOIN ranked r USING (kato)
      JOIN read_parquet('places.parquet') p USING (kato)) ORDER BY place NULLS LAST, level DESC;"""
    rank = answer["place"]["rank"] if answer["place"] else None
    place_again = f"(SELECT place FROM ranked WHERE kato = {kato})" if answer["place"] else "NULL"
    yield f"""SELECT 'level ' || {answer["level"]!r} || ', place ' || coalesce({literal(rank)}::VARCHAR, 'none') AS expected,
       'level ' || round(level, 9) || ', place ' || coalesce({place_again}::VARCHAR, 'none') AS computed,
       abs(level - {answer["level"]!r}) <= {_PLACES} AND {literal(rank)} IS NOT DISTINCT FROM {place_again}
           AND (SELECT count(*) FROM wrong_score) + (SELECT count(*) FROM wrong_weight) + (SELECT count(*) FROM wrong_level) = 0 AS equal,
       ledger_intact, in_ledger AS inputs_in_ledger
FROM (SELECT sum(weight * coalesce(score, 0)) / sum(weight) AS level FROM item WHERE kato = {kato} AND {inside}), ledger, entered;"""


def sums_readme(answer: Mapping[str, Any], head: str) -> str:
    """The README of such a pack, in English and Russian."""
    if "members" in answer:
        title, place = answer["kpi"]["code"], answer["area"]
        value = "—" if answer["value"] is None else f"{answer['value']} {answer['kpi']['unit']}"
        said = {"what": f"{title}, {place['name_en']}, {answer['period']['id']}", "what_ru": f"{title}, {place['name_ru']}, {answer['period']['id']}",
                "number": f"{value}, {answer['state']}; {answer['counted']} of {answer['applicable']} cells",
                "holds": _HOLDS_SUM, "holds_ru": _HOLDS_SUM_RU}  # fmt: skip
    else:
        place = answer["settlement"]
        rank = answer["place"] and answer["place"]["rank"]
        title = answer["code"] or "level and place"
        said = {"what": f"{title}, {place['name_en']}, {answer['year']}",
                "what_ru": f"{answer['code'] or 'уровень и место'}, {place['name_ru']}, {answer['year']}",
                "number": f"{answer['level']}" + (f", {rank} of {answer['place']['of']} in the group {place['item7_group']}" if rank else ""),
                "holds": _HOLDS_STANDING, "holds_ru": _HOLDS_STANDING_RU}  # fmt: skip
    return _README.format(**said, head=head, check=CHECK_EN, check_ru=CHECK_RU)


def as_text(rules: AssessmentRules) -> str:
    return json.dumps(json.loads(rules.model_dump_json()), ensure_ascii=False, indent=2) + "\n"


_HOLDS_SUM = """`cells.parquet` has the published cells that are summed, each with numerator, denominator, sample, state and the ledger row from which it
holds (`counts`: whether it is taken in). A cell's own rows are in its own pack: `qala evidence KPI SETTLEMENT PERIOD`. Of a quantile, which
cannot be summed, `rows/` has the events of all cells."""
_HOLDS_SUM_RU = """В `cells.parquet` — опубликованные значения, из которых сложено число: числитель, знаменатель, выборка, состояние и запись журнала, с
которой значение действует (`counts`: вошло ли оно). Строки самого значения — в его собственном пакете: `qala evidence KPI SETTLEMENT
PERIOD`. Для квантиля, который сложить нельзя, в `rows/` лежат события всех значений."""
_HOLDS_STANDING = """`items.parquet` has every KPI of every settlement of the group with value, weight and score; `values.parquet` the year's values they were
taken from; `scales.parquet` and `weights.parquet` floors, goals and weights by the rules in `rules.json`; `scores.parquet` and
`places.parquet` what was recorded. Each value has a pack of its own: `qala evidence KPI SETTLEMENT YEAR`. The rules are our proposal,
floors and goals illustrative: the order's own formula is not public."""
_HOLDS_STANDING_RU = """В `items.parquet` — все показатели всех населённых пунктов группы: значение, вес, балл; в `values.parquet` — годовые значения, из
которых они взяты; в `scales.parquet` и `weights.parquet` — пороги, цели и веса по правилам `rules.json`; в `scores.parquet` и
`places.parquet` — то, что записано. У каждого значения есть свой пакет: `qala evidence KPI SETTLEMENT YEAR`. Правила — наше
предложение, пороги и цели условны: формула приказа не опубликована."""
_README = """# Evidence pack: {what}

[Русский текст ниже](#пакет-доказательств)

**{number}**

{check}

The last row: `expected` is what was recorded, `computed` what the files beside give, `equal` whether they are the same; `ledger_intact`: every
ledger row follows from the one before it, up to

```
{head}
```

Compare that head with one that was kept elsewhere at the time: only this shows a ledger that was rewritten from end to end.

{holds}

It proves that the recorded number follows from these figures, not that these figures are right: walk on to their own packs.

---

# Пакет доказательств

**{what_ru}: {number}**

{check_ru}

Последняя строка: `expected` — то, что записано, `computed` — то, что дают файлы пакета, `equal` — совпали ли они; `ledger_intact` — каждая
запись журнала следует из предыдущей вплоть до указанной выше головной. Сравните её с той, что была тогда же сохранена в другом месте.

{holds_ru}

Доказано, что записанное число следует из этих данных, но не то, что сами данные верны: для них есть свои пакеты.
"""
