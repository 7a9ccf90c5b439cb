-- one row per version of a value, with the rejected rows of all deliveries in force for it when it was computed:
-- in which cells they fall was not recorded then
CREATE OR REPLACE TEMP TABLE work_upgrade_lossy_cell AS
SELECT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    cell.valid_from_seq,
    cell.valid_to_seq,
    cell.period_start,
    sum(lossy.rejected_rows)::BIGINT AS rejected_rows
FROM kpi.value AS cell
JOIN (
    SELECT DISTINCT
        code,
        version,
        table_name
    FROM registry.kpi_source
) AS source ON (source.code, source.version) = (cell.kpi_code, cell.definition_version)
JOIN (
    SELECT DISTINCT ON (id)
        id,
        period_start,
        period_end
    FROM registry.period
) AS period ON period.id = cell.period_id
JOIN work_upgrade_lossy_delivery AS lossy
    ON
        lossy.table_name = source.table_name
        AND lossy.period_start < period.period_end
        AND lossy.period_end > period.period_start
        AND (lossy.scope = cell.kato OR lossy.scope = 'KZ' OR lossy.scope = cell.kato[:2])
        AND lossy.loaded_seq <= cell.as_of_seq
        AND (lossy.replaced_seq IS NULL OR lossy.replaced_seq > cell.as_of_seq)
GROUP BY ALL
