-- one row per due cell: months needed and delivered, and as messages what is missing, refused, in doubt, or leapt
-- ordered lists take long, so they are made only of the months that lack something: most cells lack nothing
CREATE OR REPLACE TEMP TABLE work_coverage AS
WITH needed AS (
    SELECT
        cell.kpi_code,
        cell.version,
        cell.kato,
        cell.period_id,
        need.table_name,
        period_month.month,
        need.needed_months <> 'lookup' AS wanted,
        delivered.loaded,
        delivered.refused,
        coalesce(figure.doubt, delivered.doubt) AS doubt,
        coalesce(figure.leaping, delivered.leaping) AS leaping
    FROM work_due_cell AS cell
    JOIN work_needed_table AS need USING (kpi_code, version)
    JOIN work_period_month AS period_month
        ON cell.period_id = period_month.period_id AND (period_month.closing OR need.needed_months = 'every')
    LEFT JOIN work_delivered_month AS delivered
        ON
            (delivered.table_name, delivered.kato, delivered.month)
            = (need.table_name, cell.kato, period_month.month)
    LEFT JOIN work_doubted_figure AS figure
        ON
            (figure.table_name, figure.kato, figure.month) = (need.table_name, cell.kato, period_month.month)
            AND need.needed_months = 'lookup'
),

lacking AS (
    SELECT
        kpi_code,
        version,
        kato,
        period_id,
        list(json_object('code', 'reason.month', 'table', table_name, 'month', month) ORDER BY table_name, month)
        FILTER (WHERE wanted AND refused IS NULL AND loaded IS NOT TRUE) AS missing_months,
        list(
            json_object('code', 'reason.refused_month', 'table', table_name, 'month', month, 'delivery', refused)
            ORDER BY table_name, month
        ) FILTER (WHERE refused IS NOT NULL AND NOT loaded) AS refused,
        list(
            json_object('code', 'reason.doubted_month', 'table', table_name, 'month', month, 'deliveries', doubt)
            ORDER BY table_name, month
        ) FILTER (WHERE doubt IS NOT NULL) AS doubt,
        list(
            json_object('code', 'reason.table_leaps', 'table', table_name, 'leaps', leaping)
            ORDER BY table_name, month
        ) FILTER (WHERE leaping IS NOT NULL) AS leaping
    FROM needed
    WHERE loaded IS NOT TRUE OR doubt IS NOT NULL
    GROUP BY ALL
),

counted AS (
    SELECT
        kpi_code,
        version,
        kato,
        period_id,
        nullif(count(*) FILTER (WHERE wanted), 0) AS months,
        count(*) FILTER (WHERE wanted AND loaded) AS delivered
    FROM needed
    GROUP BY ALL
)

SELECT
    counted.*,
    lacking.refused,
    lacking.doubt,
    lacking.leaping,
    CASE
        WHEN len(lacking.missing_months) <= 3 THEN lacking.missing_months
        WHEN lacking.missing_months IS NOT NULL
            THEN [
                json_object(
                    'code', 'reason.first_to_last_month',
                    'first', lacking.missing_months[1],
                    'last', lacking.missing_months[-1],
                    'lacking', len(lacking.missing_months),
                    'months', counted.months
                )
            ]
    END AS missing
FROM counted
LEFT JOIN lacking USING (kpi_code, version, kato, period_id)
