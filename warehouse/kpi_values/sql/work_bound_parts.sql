-- one row per due cell of a KPI that lost rows: how many, by which rules, its parts as they are and at the bounds
-- of the value
INSERT INTO work_bound_parts
WITH lost AS (
    SELECT
        kpi_code,
        version,
        kato,
        period_id,
        sum(rejected)::BIGINT AS rejected,
        sum(gaps)::BIGINT AS gaps,
        bool_or(other) AS other,
        sum(gap_n)::DECIMAL(38, 6) AS gap_n,
        sum(gap_d)::DECIMAL(38, 6) AS gap_d,
        sum(gap_s)::BIGINT AS gap_s,
        list(DISTINCT rule ORDER BY rule) FILTER (WHERE rejected > 0) AS rejected_by,
        list(DISTINCT rule ORDER BY rule) FILTER (WHERE gaps > 0) AS gap_by
    FROM work_lost_rows
    WHERE kpi_code = ${code} AND version = ${version}
    GROUP BY ALL
),

certain AS (
    SELECT
        lost.*,
        parts.n,
        cast(parts.exact_d AS DOUBLE) AS d,
        parts.s,
        lost.rejected + lost.gaps AS k,
        coalesce(parts.exact_n, 0) AS exact_n,
        coalesce(parts.exact_d, 0) AS exact_d,
        coalesce(parts.exact_n, 0) - lost.gap_n AS n0,
        coalesce(parts.exact_d, 0) - lost.gap_d AS d0,
        coalesce(parts.s, 0) - lost.gap_s AS s0
    FROM lost
    JOIN work_cell_parts AS parts USING (kpi_code, version, kato, period_id)
)

SELECT
    kpi_code,
    version,
    kato,
    period_id,
    rejected,
    gaps,
    rejected_by,
    gap_by,
    n,
    d,
    s,
    ${parts_at_bounds},
    NULL AS q_low,
    NULL AS q_high
FROM certain
