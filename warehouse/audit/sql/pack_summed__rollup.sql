-- One row: what is summed of the cells that count.
CREATE OR REPLACE TEMP TABLE summed AS
SELECT
    sum(numerator) FILTER (WHERE counts) AS top,
    sum(denominator) FILTER (WHERE counts) AS bottom,
    coalesce(sum(sample_size) FILTER (WHERE counts), 0)::BIGINT AS s,
    count(*) FILTER (WHERE counts) AS counted,
    ${kpi_scale} AS scale,
    ${kpi_kind} AS kind
FROM cell
