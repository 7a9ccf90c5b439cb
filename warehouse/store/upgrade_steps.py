"""The steps that bring a warehouse of an older version up, numbered, as data: `qala upgrade` takes those that are due, in their order.

A step gives tables columns that cannot be left empty in the rows that are there. Its SQL is frozen: it says what the tables were at that number,
whatever they have become since, and it is never edited after a version with it was used. A column or table that may be empty needs no step
(fitting.py adds it). Where an old row cannot be brought to what today's code would have made of it, the step says what it is instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from warehouse.sql import literal
from warehouse.tables.contracts import Table

Tables = Mapping[str, Table]
FIRST = 1  # the first schema that was ever used; a file that knows no number and has no step's columns is of it


@dataclass(frozen=True)
class Step:
    """One step. `fills`: by table and column, SQL of the column's value over the old row `o`."""

    number: int
    what: str
    instead: str  # what is not as today's code would have made it
    mark: tuple[str, str]  # table and column by which a file is known to have it, if it knows no numbers
    fills: Callable[[Tables], Mapping[str, Mapping[str, str]]]
    seals: tuple[str, ...]  # kinds of sealed rows that get values by it
    before: tuple[str, ...] = ()  # statements that make the temporary tables which `fills` reads


def _asserted(tables: Tables) -> Mapping[str, Mapping[str, str]]:
    def by_table(value: Callable[[Table], str | None]) -> str:
        whens = " ".join(f"WHEN {literal(name)} THEN {literal(value(table))}" for name, table in sorted(tables.items()))
        return f"CASE WHEN o.state <> 'received' THEN CASE o.table_name {whens} END END"

    return {
        "audit.delivery": {
            "kind": by_table(lambda t: str(t.cut.kind)),
            "cut_by": by_table(lambda t: t.cut.by),
            "order_seq": "o.loaded_seq",
        }
    }


# of each cell the rejected rows of the deliveries that stood for it when it was computed: nobody wrote down in which cells they fall
_LOSSY = (
    """CREATE OR REPLACE TEMP TABLE lossy AS
SELECT d.table_name, d.scope, d.period_start, d.period_end, d.rejected_rows, d.loaded_seq, (
    SELECT min(m.loaded_seq) FROM audit.delivery m WHERE m.state = 'loaded' AND m.loaded_seq > d.loaded_seq
    AND (m.table_name, m.system, m.scope, m.period_id) = (d.table_name, d.system, d.scope, d.period_id)) AS replaced_seq
FROM audit.delivery d WHERE d.state = 'loaded' AND d.rejected_rows > 0""",
    """CREATE OR REPLACE TEMP TABLE lost_cells AS
SELECT v.kpi_code, v.kato, v.period_id, v.valid_from_seq, v.valid_to_seq, v.period_start, sum(l.rejected_rows)::BIGINT AS rejected_rows
FROM kpi.value v JOIN (SELECT DISTINCT code, version, table_name FROM registry.kpi_source) s ON (s.code, s.version) = (v.kpi_code, v.definition_version)
JOIN (SELECT DISTINCT ON (id) id, period_start, period_end FROM registry.period) p ON p.id = v.period_id
JOIN lossy l ON l.table_name = s.table_name AND l.period_start < p.period_end AND l.period_end > p.period_start
    AND (l.scope = v.kato OR l.scope = 'KZ' OR l.scope = v.kato[:2])
    AND l.loaded_seq <= v.as_of_seq AND (l.replaced_seq IS NULL OR l.replaced_seq > v.as_of_seq)
GROUP BY ALL""",
    """CREATE OR REPLACE TEMP TABLE lost_rollups AS
SELECT r.kpi_code, r.area_kind, r.area, r.period_id, r.valid_from_seq, sum(c.rejected_rows)::BIGINT AS rejected_rows
FROM kpi.rollup r JOIN (SELECT DISTINCT ON (id) id, period_start, period_end FROM registry.period) p ON p.id = r.period_id
JOIN lost_cells c ON c.kpi_code = r.kpi_code AND c.period_start >= p.period_start AND c.period_start < p.period_end
    AND c.valid_from_seq <= r.valid_from_seq AND (c.valid_to_seq IS NULL OR c.valid_to_seq > r.valid_from_seq)
JOIN registry.settlement g ON g.kato = c.kato AND r.area = CASE r.area_kind
    WHEN 'settlement' THEN g.kato WHEN 'region' THEN g.region_kato WHEN 'group' THEN g.item7_group ELSE 'KZ' END
GROUP BY ALL""",
)


def _bounded(_: Tables) -> Mapping[str, Mapping[str, str]]:
    def counted(relation: str, key: str) -> str:
        same = " AND ".join(f"l.{c} = o.{c}" for c in (*key.split(), "valid_from_seq"))
        return f"coalesce((SELECT l.rejected_rows FROM {relation} l WHERE {same}), 0)"

    cells = counted("lost_cells", "kpi_code kato period_id")
    rollups = counted("lost_rollups", "kpi_code area_kind area period_id")

    def bounds(rejected: str) -> dict[str, str]:
        value = f"CASE WHEN {rejected} = 0 THEN o.value END"
        return {"value_low": value, "value_high": value, "rejected_rows": rejected, "gap_rows": "CAST(0 AS BIGINT)"}

    return {"kpi.value": bounds(cells), "kpi.rollup": bounds(rollups)}


_YEARS = (
    """CREATE OR REPLACE TEMP TABLE bounded_items AS
SELECT i.assessment_id, i.kato, i.kpi_code, i.weight, CASE WHEN y.low IS NOT NULL THEN i.score WHEN i.score IS NOT NULL THEN 0 END AS score_low,
       CASE WHEN y.low IS NOT NULL THEN i.score WHEN i.score IS NOT NULL THEN 100 END AS score_high
FROM kpi.assessment_item i JOIN kpi.assessment a USING (assessment_id) LEFT JOIN (
    SELECT kpi_code, kato, period_id, valid_from_seq, valid_to_seq, value_low AS low FROM kpi.value
    UNION ALL SELECT kpi_code, area, period_id, valid_from_seq, valid_to_seq, value_low FROM kpi.rollup WHERE area_kind = 'settlement') y
    ON y.kpi_code = i.kpi_code AND y.kato = i.kato AND y.period_id = a.year::VARCHAR
    AND y.valid_from_seq <= a.as_of_seq AND (y.valid_to_seq IS NULL OR y.valid_to_seq > a.as_of_seq)""",
    """CREATE OR REPLACE TEMP TABLE bounded_nodes AS
SELECT assessment_id, kato, node_kind, node, round(coalesce(sum(weight * score_low), 0) / sum(weight), 9) AS level_low,
       round(coalesce(sum(weight * score_high), 0) / sum(weight), 9) AS level_high,
       bool_and(score_low IS NOT DISTINCT FROM score_high) AS certain
FROM (SELECT b.*, unnest([{'k': 'initiative', 'n': n.code}, {'k': 'sphere', 'n': n.sphere}, {'k': 'settlement', 'n': b.kato}], recursive := true)
      FROM bounded_items b JOIN registry.initiative n ON n.code = split_part(b.kpi_code, '-', 1)) t(assessment_id, kato, kpi_code, weight, score_low,
      score_high, node_kind, node) GROUP BY ALL""",
    """CREATE OR REPLACE TEMP TABLE bounded_ranks AS
WITH level AS (
    SELECT r.assessment_id, r.kato, r.item7_group, CASE WHEN n.certain THEN round(s.level, 6) ELSE round(n.level_low, 6) END AS low,
           CASE WHEN n.certain THEN round(s.level, 6) ELSE round(n.level_high, 6) END AS high
    FROM kpi.assessment_rank r JOIN kpi.assessment_score s ON (s.assessment_id, s.kato, s.node_kind) = (r.assessment_id, r.kato, 'settlement')
    JOIN bounded_nodes n ON (n.assessment_id, n.kato, n.node_kind) = (r.assessment_id, r.kato, 'settlement') WHERE r.rank IS NOT NULL)
SELECT a.assessment_id, a.kato, CAST(1 + count(b.kato) FILTER (WHERE b.high > a.low) AS INTEGER) AS rank_low,
       CAST(1 + count(b.kato) FILTER (WHERE b.low > a.high) AS INTEGER) AS rank_high
FROM level a LEFT JOIN level b ON (b.assessment_id, b.item7_group) = (a.assessment_id, a.item7_group) AND b.kato <> a.kato GROUP BY ALL""",
)


def _assessed(_: Tables) -> Mapping[str, Mapping[str, str]]:
    def looked_up(relation: str, column: str, key: str) -> str:
        same = " AND ".join(f"l.{c} = o.{c}" for c in ("assessment_id", *key.split()))
        return f"(SELECT l.{column} FROM {relation} l WHERE {same})"

    def level(column: str) -> str:
        known = looked_up(
            "(SELECT * REPLACE (CASE WHEN NOT certain THEN level_low END AS level_low, CASE WHEN NOT certain THEN level_high END AS level_high) "
            "FROM bounded_nodes)",
            column,
            "kato node_kind node",
        )
        return f"coalesce({known}, o.level)"

    return {
        "kpi.assessment_item": {c: looked_up("bounded_items", c, "kato kpi_code") for c in ("score_low", "score_high")},
        "kpi.assessment_score": {c: level(c) for c in ("level_low", "level_high")},
        "kpi.assessment_rank": {c: looked_up("bounded_ranks", c, "kato") for c in ("rank_low", "rank_high")},
    }


STEPS: tuple[Step, ...] = (
    Step(
        2,
        "a delivery knows what it asserts and its place in the order",
        "kind and date column are those of the table's contract of today",
        ("audit.delivery", "order_seq"),
        _asserted,
        ("deliveries decided",),
    ),
    Step(
        3,
        "values and roll-ups have bounds",
        "where deliveries of a cell had rejected rows, all of them are counted and the bounds are unknown; state and value stay until the cell is "
        "computed again (qala run PERIOD)",
        ("kpi.value", "rejected_rows"),
        _bounded,
        ("values", "roll-ups"),
        _LOSSY,
    ),
    Step(
        4,
        "assessments have bounds",
        "an item whose value has no bounds scores 0 to 100; scores, levels and places stay",
        ("kpi.assessment_score", "level_low"),
        _assessed,
        ("assessment items", "assessment scores", "assessment ranks"),
        _YEARS,
    ),
)
LATEST = STEPS[-1].number
