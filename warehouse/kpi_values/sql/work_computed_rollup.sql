-- one row per due roll-up: its value with parts, bounds and state
CREATE OR REPLACE TEMP TABLE work_computed_rollup AS
WITH summed AS (
    SELECT
        target,
        sum(numerator) FILTER (WHERE counts) AS exact_n,
        sum(denominator) FILTER (WHERE counts) AS exact_d,
        sum(sample_size) FILTER (WHERE counts) AS s,
        count(*) FILTER (WHERE counts) AS counted,
        sum(CASE WHEN lossy THEN numerator_low ELSE numerator END) FILTER (WHERE counts) AS n_low,
        sum(CASE WHEN lossy THEN denominator_low ELSE denominator END) FILTER (WHERE counts) AS d_low,
        sum(CASE WHEN lossy THEN numerator_high ELSE numerator END) FILTER (WHERE counts) AS n_high,
        sum(CASE WHEN lossy THEN denominator_high ELSE denominator END) FILTER (WHERE counts) AS d_high,
        sum(rejected_rows) FILTER (WHERE counts) AS rejected_rows,
        sum(gap_rows) FILTER (WHERE counts) AS gap_rows,
        bool_or(counts AND lossy) AS lossy,
        bool_or(counts AND lossy AND numerator_low IS NULL) AS unbounded,
        count(*) FILTER (WHERE obs_status IS DISTINCT FROM 'M') AS applicable,
        max(period_end) AS last_end,
        max(definition_version) AS version,
        count(DISTINCT definition_version) FILTER (WHERE counts) AS versions,
        count(*) FILTER (WHERE obs_status = 'Q') AS suppressed,
        bool_or(obs_status = 'P') AS open,
        bool_or(counts AND obs_status IN ('U', 'B')) AS marked
    FROM work_rollup_member
    GROUP BY target
),

known AS (
    SELECT
        due.rowid AS target,
        due.*,
        summed.exact_n,
        summed.exact_d,
        summed.n_low,
        summed.d_low,
        summed.n_high,
        summed.d_high,
        summed.unbounded,
        coalesce(summed.lossy, FALSE) AS lossy,
        coalesce(summed.rejected_rows, 0)::BIGINT AS rejected_rows,
        coalesce(summed.gap_rows, 0)::BIGINT AS gap_rows,
        coalesce(summed.s, 0)::BIGINT AS s,
        coalesce(summed.counted, 0) AS counted,
        coalesce(summed.applicable, 0) AS applicable,
        summed.last_end,
        summed.versions,
        summed.suppressed,
        summed.open,
        summed.marked,
        coalesce(
            summed.version,
            (SELECT max(kpi.version) FROM work_kpi_version AS kpi WHERE kpi.kpi_code = due.kpi_code)
        ) AS definition_version
    FROM work_due_rollup AS due
    LEFT JOIN summed ON due.rowid = summed.target
),

parts AS (
    SELECT
        known.*,
        kpi.kind,
        kpi.scale,
        kpi.unit,
        kpi.minimum_cell,
        kpi.counts_distinct,
        kpi.direction,
        kpi.tolerance,
        quantile.q_low,
        quantile.q_high,
        CASE WHEN kpi.kind = 'quantile' THEN quantile.q ELSE cast(known.exact_n AS DOUBLE) END AS n,
        cast(known.exact_d AS DOUBLE) AS d
    FROM known
    JOIN work_kpi_version AS kpi ON known.kpi_code = kpi.kpi_code AND known.definition_version = kpi.version
    LEFT JOIN work_rollup_quantile AS quantile
        ON (quantile.target, quantile.version) = (known.target, known.definition_version)
),

worked AS (
    SELECT
        *,
        ${value} AS raw_value,
        CASE
            WHEN kind = 'quantile' THEN round(q_low * scale * 1000000) / 1000000
            WHEN NOT unbounded THEN ${low}
        END AS lowest,
        CASE
            WHEN kind = 'quantile' THEN round(q_high * scale * 1000000) / 1000000
            WHEN unbounded THEN NULL
            WHEN unit = 'PT' AND d_high = 0 THEN 100
            ELSE ${high}
        END AS highest
    FROM parts
),

bounded AS (
    SELECT
        *,
        CASE
            WHEN NOT lossy THEN raw_value
            WHEN lowest IS NOT NULL AND highest IS NOT NULL
                THEN least(raw_value, CASE WHEN unit = 'PT' THEN greatest(lowest, 0) ELSE lowest END)
        END AS low,
        CASE
            WHEN NOT lossy THEN raw_value
            WHEN lowest IS NOT NULL AND highest IS NOT NULL
                THEN greatest(raw_value, CASE WHEN unit = 'PT' THEN least(highest, 100) ELSE highest END)
        END AS high
    FROM worked
),

aimed AS (
    SELECT
        bounded.target,
        list_transform(
            list(DISTINCT target.target::VARCHAR ORDER BY target.target::VARCHAR), LAMBDA one: one::DOUBLE
        ) AS missed
    FROM bounded
    JOIN work_target AS target
        ON
            bounded.lossy
            AND bounded.area_kind = 'settlement'
            AND (target.kato, target.kpi_code, target.year) = (bounded.area, bounded.kpi_code, bounded.period_id)
            AND ${between}
    GROUP BY ALL
),

judged AS (
    SELECT
        bounded.*,
        ${state_rules} AS verdict
    FROM bounded
    LEFT JOIN aimed USING (target)
)

SELECT
    kpi_code,
    area_kind,
    area,
    period_id,
    period_start,
    CASE WHEN verdict.obs_status IN ${with_value} THEN raw_value END AS value,
    CASE WHEN verdict.obs_status IN ${with_value} THEN low END AS value_low,
    CASE WHEN verdict.obs_status IN ${with_value} THEN high END AS value_high,
    rejected_rows,
    gap_rows,
    CASE WHEN kind <> 'quantile' THEN exact_n END AS numerator,
    CASE WHEN kind <> 'quantile' THEN exact_d END AS denominator,
    s AS sample_size,
    counted,
    applicable,
    verdict.state,
    verdict.obs_status,
    verdict.reason,
    definition_version
FROM judged
