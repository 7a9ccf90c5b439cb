-- one row per table, settlement and month of a figure looked up by date whose slice has an open incident on a leap
INSERT INTO work_doubted_figure
SELECT
    ${figure_table} AS table_name,
    figure.kato,
    period_month.period_id AS month,
    list(DISTINCT incident.failing ORDER BY incident.failing) AS doubt,
    list(DISTINCT incident.leaping ORDER BY incident.leaping) AS leaping
FROM (
    SELECT DISTINCT
        kato,
        ${date_column} AS day,
        delivery_id
    FROM ${figures}
    WHERE ${date_column} IN (SELECT period_end_population_date FROM work_due_cell)
) AS figure
JOIN registry.period AS period_month ON period_month.grain = 'M' AND figure.day = period_month.period_end
JOIN audit.delivery AS delivery USING (delivery_id)
JOIN work_open_incident AS incident
    ON
        (incident.table_name, incident.system, incident.scope, incident.period_id)
        = (delivery.table_name, delivery.system, delivery.scope, delivery.period_id)
WHERE incident.leaping IS NOT NULL
GROUP BY ALL
