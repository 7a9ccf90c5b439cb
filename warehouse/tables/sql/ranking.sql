-- Places of settlements inside their item 7 group by a KPI, in every period that has values, and the places that the
-- bounds of the values allow
WITH bounded AS (
    SELECT
        cell.*,
        direction.sign * cell.value AS score,
        -- the worse and the better end of what the value can be; without bounds it can be anything
        CASE direction.sign
            WHEN 1 THEN coalesce(cell.value_low, '-infinity')
            ELSE -coalesce(cell.value_high, 'infinity')
        END
            AS worst,
        CASE direction.sign
            WHEN 1 THEN coalesce(cell.value_high, 'infinity')
            ELSE -coalesce(cell.value_low, '-infinity')
        END
            AS best
    FROM public_series AS cell
    JOIN registry.direction AS direction ON direction.direction = cell.direction
    WHERE cell.value IS NOT NULL
),

placed AS (
    SELECT
        own.kpi_code,
        own.period_id,
        own.kato,
        1 + count(other.kato) FILTER (WHERE other.score > own.score) AS rank,
        1 + count(other.kato) FILTER (WHERE other.worst > own.best) AS rank_high,
        1 + count(other.kato) FILTER (WHERE other.best > own.worst) AS rank_low,
        1 + count(other.kato) AS ranked
    FROM bounded AS own
    LEFT JOIN bounded AS other
        ON
            (other.kpi_code, other.period_id, other.item7_group) = (own.kpi_code, own.period_id, own.item7_group)
            AND other.kato <> own.kato
    GROUP BY own.kpi_code, own.period_id, own.kato
)

SELECT
    bounded.kpi_code,
    bounded.kpi_name_en,
    bounded.kpi_name_ru,
    bounded.kpi_name_kk,
    bounded.period_id,
    bounded.grain,
    bounded.year,
    bounded.item7_group,
    bounded.item7_group_en,
    bounded.item7_group_ru,
    bounded.item7_group_kk,
    cast(placed.rank AS INTEGER) AS rank,
    cast(placed.rank_high AS INTEGER) AS rank_high,
    cast(placed.rank_low AS INTEGER) AS rank_low,
    cast(placed.ranked AS INTEGER) AS ranked,
    bounded.kato,
    bounded.settlement_en,
    bounded.settlement_ru,
    bounded.settlement_kk,
    bounded.region_kato,
    bounded.region_en,
    bounded.region_ru,
    bounded.region_kk,
    bounded.value,
    bounded.value_low,
    bounded.value_high,
    bounded.unit,
    bounded.unit_symbol,
    bounded.unit_en,
    bounded.unit_ru,
    bounded.unit_kk,
    bounded.direction,
    bounded.direction_en,
    bounded.direction_ru,
    bounded.direction_kk,
    bounded.state,
    bounded.state_en,
    bounded.state_ru,
    bounded.state_kk,
    bounded.obs_status
FROM bounded
JOIN placed USING (kpi_code, period_id, kato)
