-- One row per roll-up written after a ledger sequence and in force, with the roll-up that it takes the place of.
SELECT
    new.kpi_code,
    new.area_kind,
    new.area,
    new.period_id,
    former.value AS before,
    new.value AS after,
    round((new.value - former.value) * 1000000) / 1000000 AS difference,
    former.state AS state_before,
    new.state AS state_after
FROM kpi.rollup AS new
LEFT JOIN kpi.rollup AS former
    ON
        new.kpi_code = former.kpi_code
        AND new.area_kind = former.area_kind
        AND new.area = former.area
        AND new.period_id = former.period_id
        AND new.valid_from_seq = former.valid_to_seq
WHERE new.valid_from_seq > ${after_seq} AND new.valid_to_seq IS NULL
ORDER BY new.kpi_code, new.area_kind, new.area, new.period_id
