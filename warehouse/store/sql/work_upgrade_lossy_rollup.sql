-- one row per version of a roll-up, with the rejected rows of its cells
CREATE OR REPLACE TEMP TABLE work_upgrade_lossy_rollup AS
SELECT
    rolled.kpi_code,
    rolled.area_kind,
    rolled.area,
    rolled.period_id,
    rolled.valid_from_seq,
    sum(lossy.rejected_rows)::BIGINT AS rejected_rows
FROM kpi.rollup AS rolled
JOIN (
    SELECT DISTINCT ON (id)
        id,
        period_start,
        period_end
    FROM registry.period
) AS period ON period.id = rolled.period_id
JOIN work_upgrade_lossy_cell AS lossy
    ON
        lossy.kpi_code = rolled.kpi_code
        AND lossy.period_start >= period.period_start
        AND lossy.period_start < period.period_end
        AND lossy.valid_from_seq <= rolled.valid_from_seq
        AND (lossy.valid_to_seq IS NULL OR lossy.valid_to_seq > rolled.valid_from_seq)
JOIN registry.settlement AS settlement
    ON
        settlement.kato = lossy.kato
        AND rolled.area = CASE rolled.area_kind
            WHEN 'settlement' THEN settlement.kato
            WHEN 'region' THEN settlement.region_kato
            WHEN 'group' THEN settlement.item7_group
            ELSE 'KZ'
        END
GROUP BY ALL
