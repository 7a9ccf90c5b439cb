-- per part and rule: how many rows and cells broke it, and the commonest of what stood there, how often and where first
SELECT
    part,
    rule,
    sum(whole_rows) OVER (PARTITION BY part, rule)::BIGINT AS whole_rows,
    sum(cells) OVER (PARTITION BY part, rule)::BIGINT AS cells,
    count(*) OVER (PARTITION BY part, rule) AS different,
    value,
    whole_rows + cells AS times,
    first_row
FROM (
    SELECT
        ${of_part} AS part,
        rejected.rule,
        ${shown_value} AS value,
        count(*) FILTER (WHERE rejected.column_name IS NULL) AS whole_rows,
        count(rejected.column_name) AS cells,
        min(rejected.row_no) AS first_row
    FROM ${rejected_rows} AS rejected
    JOIN audit.delivery USING (delivery_id)
    WHERE ${chosen}
    GROUP BY ALL
) AS counted
QUALIFY row_number() OVER (PARTITION BY part, rule ORDER BY times DESC, value) <= ${most}
ORDER BY part, rule, times DESC, value
