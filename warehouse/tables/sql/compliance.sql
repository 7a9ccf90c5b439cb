-- Items 12(2), 12(3) and 13 of the order by executive body, from the newest register of information systems
WITH newest AS (
    SELECT *
    FROM showcase.dim_information_system
    QUALIFY snapshot_date = max(snapshot_date) OVER (PARTITION BY kato)
),

held AS (
    SELECT
        kato,
        mio_code,
        system_id,
        snapshot_date,
        -- a column for each field of a requirement, which an alias would be in the way of
        unnest([${requirements}], recursive := TRUE) -- noqa: AL03
    FROM newest
    WHERE commissioned_at < snapshot_date AND (retired_at IS NULL OR retired_at >= snapshot_date)
)

SELECT
    held.kato,
    any_value(settlement.name_en) AS settlement_en,
    any_value(settlement.name_ru) AS settlement_ru,
    any_value(settlement.name_kk) AS settlement_kk,
    held.mio_code,
    held.item,
    held.requirement_en,
    held.requirement_ru,
    held.requirement_kk,
    any_value(held.snapshot_date) AS snapshot_date,
    count(*) AS systems,
    count(*) FILTER (WHERE met) AS compliant,
    round(100.0 * count(*) FILTER (WHERE met) / count(*) * 10) / 10 AS percent,
    coalesce(
        string_agg(held.system_id, ', ' ORDER BY held.system_id) FILTER (WHERE NOT met), ''
    ) AS not_compliant
FROM held
JOIN registry.settlement AS settlement USING (kato)
WHERE concerned
GROUP BY held.kato, held.mio_code, held.item, held.requirement_en, held.requirement_ru, held.requirement_kk
