-- due cells of a KPI for whose months a partial delivery is
INSERT INTO work_undelivered_column
SELECT DISTINCT
    cell.kpi_code,
    cell.version,
    cell.kato,
    cell.period_id,
    delivery.lacks
FROM work_due_cell AS cell
JOIN work_needed_table AS need USING (kpi_code, version)
JOIN work_period_month AS period_month
    ON cell.period_id = period_month.period_id AND (period_month.closing OR need.needed_months = 'every')
JOIN registry.period AS period ON period_month.month = period.period_id
JOIN registry.settlement AS settlement ON cell.kato = settlement.kato
JOIN work_partial_delivery AS delivery
    ON
        need.table_name = delivery.table_name
        AND delivery.period_start <= period.period_start
        AND delivery.period_end >= period.period_end
        AND (delivery.scope = settlement.kato OR delivery.scope = 'KZ' OR delivery.scope = settlement.kato2)
WHERE cell.kpi_code = ${code} AND cell.version = ${version} AND need.needed_months <> 'lookup'
