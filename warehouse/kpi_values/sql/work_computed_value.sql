-- one row per due cell: its value with parts, bounds, coverage and state
CREATE OR REPLACE TEMP TABLE work_computed_value AS
WITH joined AS (
    SELECT
        cell.*,
        parts.n,
        parts.exact_n,
        parts.exact_d,
        CAST(parts.exact_d AS DOUBLE) AS d,
        parts.s,
        settlement.item7_group,
        kpi.* EXCLUDE (kpi_code, version),
        coverage.months,
        coverage.delivered,
        coverage.missing,
        coverage.refused,
        coverage.doubt,
        coverage.leaping,
        status.systems,
        status.integrated,
        status.listed,
        status.named,
        undelivered.lacking,
        failed.why AS failure,
        COALESCE(bounds.rejected_rows, 0) AS rejected_rows,
        COALESCE(bounds.gap_rows, 0) AS gap_rows,
        bounds.n_low,
        bounds.d_low,
        bounds.n_high,
        bounds.d_high,
        bounds.value_low,
        bounds.value_high,
        bounds.losses,
        bounds.wide,
        CASE
            WHEN bounds.losses IS NOT NULL
                THEN JSON_OBJECT('code', 'reason.lost_rows', 'rows', bounds.losses, 'bounds', bounds.remark)
        END AS loss,
        CASE
            WHEN coverage.months IS NULL THEN NULL
            ELSE ROUND(coverage.delivered / coverage.months, 4)
        END AS coverage
    FROM work_due_cell AS cell
    JOIN work_cell_parts AS parts USING (kpi_code, version, kato, period_id)
    JOIN work_kpi_version AS kpi USING (kpi_code, version)
    JOIN registry.settlement AS settlement USING (kato)
    LEFT JOIN work_coverage AS coverage USING (kpi_code, version, kato, period_id)
    LEFT JOIN work_system_status AS status USING (kpi_code, kato, period_id)
    LEFT JOIN work_bounds AS bounds USING (kpi_code, version, kato, period_id)
    LEFT JOIN work_undelivered_columns AS undelivered USING (kpi_code, version, kato, period_id)
    LEFT JOIN work_failed_cell AS failed USING (kpi_code, version, kato, period_id)
),

valued AS (
    SELECT
        *,
        ${value} AS raw_value
    FROM joined
),

judged AS (
    SELECT
        *,
        ${state_rules} AS verdict
    FROM valued
),

known AS (
    SELECT
        *,
        verdict.obs_status IN ${with_value} AS has_value,
        verdict.obs_status IN ${with_parts} AS has_parts,
        kind = 'quantile' OR lacking IS NOT NULL OR failure IS NOT NULL AS unknown_parts
    FROM judged
)

-- what was counted nowhere is 0 where all was delivered; of what was not delivered nothing is known
SELECT
    kpi_code,
    version,
    kato,
    period_id,
    CAST(period_start AS DATE) AS period_start,
    definition_hash,
    catalogue_version,
    coverage,
    verdict.obs_status,
    verdict.state,
    verdict.reason,
    CASE WHEN has_value THEN raw_value END AS value,
    CASE WHEN has_value THEN CASE WHEN losses IS NULL THEN raw_value ELSE value_low END END AS value_low,
    CASE WHEN has_value THEN CASE WHEN losses IS NULL THEN raw_value ELSE value_high END END AS value_high,
    rejected_rows,
    gap_rows,
    CASE WHEN has_parts THEN n_low END AS numerator_low,
    CASE WHEN has_parts THEN d_low END AS denominator_low,
    CASE WHEN has_parts THEN n_high END AS numerator_high,
    CASE WHEN has_parts THEN d_high END AS denominator_high,
    s AS sample_size,
    CASE
        WHEN unknown_parts THEN NULL
        WHEN
            kind = 'mean' OR coverage < minimum_coverage OR (looked_up IS NOT NULL AND exact_d IS NULL)
            THEN exact_n
        ELSE COALESCE(exact_n, 0)
    END AS numerator,
    CASE
        WHEN unknown_parts THEN NULL
        WHEN kind IN ('share', 'mean') AND coverage >= minimum_coverage THEN COALESCE(exact_d, 0)
        ELSE exact_d
    END AS denominator
FROM known
