-- One row per value written after a ledger sequence and in force, with the value that it takes the place of.
SELECT
    new.kpi_code,
    new.kato AS area,
    settlement.name_en AS area_en,
    new.period_id,
    former.value AS before,
    new.value AS after,
    round((new.value - former.value) * 1000000) / 1000000 AS difference,
    former.state AS state_before,
    new.state AS state_after,
    new.reason,
    former.definition_version AS version_before,
    new.definition_version AS version_after
FROM kpi.value AS new
INNER JOIN registry.settlement AS settlement USING (kato)
LEFT JOIN kpi.value AS former
    ON
        new.kpi_code = former.kpi_code
        AND new.kato = former.kato
        AND new.period_id = former.period_id
        AND new.valid_from_seq = former.valid_to_seq
WHERE new.valid_from_seq > ${after_seq} AND new.valid_to_seq IS NULL
ORDER BY new.kpi_code, new.period_id, new.kato
