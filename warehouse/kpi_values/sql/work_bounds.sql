-- one row per due cell that lost rows: between which values its value lies, and whether that is too wide to
-- publish it as calculated
-- a share above 100 or below 0 cannot be reached by counting rows for or against; of a target between the bounds
-- nobody knows whether it is met
CREATE OR REPLACE TEMP TABLE work_bounds AS
WITH worked AS (
    SELECT
        parts.*,
        kpi.tolerance,
        kpi.unit,
        kpi.direction,
        kpi.scale,
        ${value_as_it_is} AS raw_value,
        CASE WHEN kpi.kind = 'quantile' THEN round(parts.q_low * kpi.scale * 1000000) / 1000000 ELSE ${low} END AS low,
        CASE
            WHEN kpi.kind = 'quantile' THEN round(parts.q_high * kpi.scale * 1000000) / 1000000
            WHEN kpi.unit = 'PT' AND parts.d_high = 0 THEN 100
            ELSE ${high}
        END AS high
    FROM work_bound_parts AS parts
    JOIN work_kpi_version AS kpi USING (kpi_code, version)
),

bounded AS (
    SELECT
        * REPLACE (
            CASE
                WHEN low IS NOT NULL AND high IS NOT NULL
                    THEN least(raw_value, CASE WHEN unit = 'PT' THEN greatest(low, 0) ELSE low END)
            END AS low,
            CASE
                WHEN low IS NOT NULL AND high IS NOT NULL
                    THEN greatest(raw_value, CASE WHEN unit = 'PT' THEN least(high, 100) ELSE high END)
            END AS high
        )
    FROM worked
),

aimed AS (
    SELECT
        bounded.kpi_code,
        bounded.version,
        bounded.kato,
        bounded.period_id,
        list_transform(
            list(DISTINCT target.target::VARCHAR ORDER BY target.target::VARCHAR), LAMBDA one: one::DOUBLE
        ) AS missed
    FROM bounded
    JOIN work_target AS target
        ON
            (target.kato, target.kpi_code, target.year) = (bounded.kato, bounded.kpi_code, bounded.period_id[:4])
            AND ${between}
    GROUP BY ALL
)

SELECT
    bounded.kpi_code,
    bounded.version,
    bounded.kato,
    bounded.period_id,
    bounded.rejected_rows,
    bounded.gap_rows,
    bounded.n_low,
    bounded.d_low,
    bounded.n_high,
    bounded.d_high,
    bounded.low AS value_low,
    bounded.high AS value_high,
    coalesce(
        bounded.low IS NULL
        OR round((bounded.high - bounded.low) * 1000000) / 1000000 > ${tolerated}
        OR aimed.missed IS NOT NULL,
        TRUE
    ) AS wide,
    list_filter(
        [
            CASE
                WHEN bounded.rejected_rows > 0
                    THEN json_object(
                        'code', 'reason.rejected_rows', 'rows', bounded.rejected_rows, 'rules', bounded.rejected_by
                    )
            END,
            CASE
                WHEN bounded.gap_rows > 0
                    THEN json_object('code', 'reason.gap_rows', 'rows', bounded.gap_rows, 'rules', bounded.gap_by)
            END
        ],
        LAMBDA one: one IS NOT NULL
    ) AS losses,
    ${bounds_said} AS remark
FROM bounded
LEFT JOIN aimed USING (kpi_code, version, kato, period_id)
