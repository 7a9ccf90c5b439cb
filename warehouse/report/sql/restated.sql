-- One row per public value of a settlement that was replaced by another, the newest first, with the files that came
-- in between.
SELECT
    restated.kpi_code,
    restated.area AS kato,
    restated.period_id,
    restated.former_value,
    restated.former_obs_status,
    restated.value,
    restated.obs_status,
    restated.former_definition_version,
    restated.definition_version,
    restated.cause_en,
    restated.cause_ru,
    restated.cause_kk,
    restated.restated_seq,
    restated.restated_at,
    (
        SELECT string_agg(delivery.file_name, ', ' ORDER BY delivery.delivery_id)
        FROM deliveries AS delivery
        WHERE
            list_contains(string_split(restated.delivery_ids, ', '), delivery.delivery_id::VARCHAR)
            AND delivery.state = 'loaded'
    ) AS files
FROM restatements AS restated
WHERE restated.area_kind = 'settlement'
ORDER BY restated.restated_seq DESC, restated.kpi_code, restated.area, restated.period_id
