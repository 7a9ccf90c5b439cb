-- One row per published value that was replaced by another, of KPIs whose publication is not restricted, the newest first.
-- Where one of the two is suppressed, neither is shown: it could be told from the other. `files`: loaded for it in between.
SELECT
    former.kpi_code,
    former.kato,
    former.period_id,
    CASE WHEN former.open AND present.open THEN former.value END AS former_value,
    former.obs_status AS former_status,
    CASE WHEN former.open AND present.open THEN present.value END AS value,
    present.obs_status,
    former.definition_version AS former_version,
    present.definition_version AS version,
    entry.recorded_at,
    former.valid_to_seq AS seq,
    (
        -- of its period; a delivery of another period may have moved rows of it too
        SELECT
            coalesce(
                string_agg(delivery.file_name, ', ' ORDER BY delivery.delivery_id)
                FILTER (WHERE delivery.period_start < period.period_end AND delivery.period_end > period.period_start),
                string_agg(delivery.file_name, ', ' ORDER BY delivery.delivery_id)
            )
        FROM audit.delivery AS delivery
        WHERE
            delivery.state = 'loaded'
            AND delivery.loaded_seq > former.as_of_seq
            AND delivery.loaded_seq <= present.as_of_seq
            AND (delivery.scope = former.kato OR delivery.scope = 'KZ' OR delivery.scope = former.kato[:2])
            AND delivery.table_name IN (
                SELECT table_name
                FROM registry.kpi_source AS source
                WHERE source.code = former.kpi_code AND source.version = present.definition_version
            )
    ) AS files
FROM (
    SELECT
        *,
        obs_status <> ${suppressed} AS open
    FROM kpi.value
    WHERE valid_to_seq IS NOT NULL
) AS former
INNER JOIN (
    SELECT
        *,
        obs_status <> ${suppressed} AS open
    FROM kpi.value
) AS present
    ON
        former.kpi_code = present.kpi_code
        AND former.kato = present.kato
        AND former.period_id = present.period_id
        AND former.valid_to_seq = present.valid_from_seq
INNER JOIN registry.period AS period ON former.period_id = period.id
INNER JOIN audit.ledger AS entry ON former.valid_to_seq = entry.seq
WHERE former.kpi_code NOT IN (SELECT code FROM registry.kpi WHERE sensitivity = 'restricted')
ORDER BY former.valid_to_seq DESC, former.kpi_code, former.kato, former.period_id
