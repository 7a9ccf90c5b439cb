-- Over all tables: rows received, rejected, cells left empty, deliveries by what became of them
SELECT
    coalesce(sum(received_rows) FILTER (WHERE state = 'loaded'), 0) AS received_rows,
    coalesce(sum(rejected_rows) FILTER (WHERE state = 'loaded'), 0) AS rejected_rows,
    (SELECT count(column_name) FROM audit.rejected_row) AS emptied_cells,
    count(*) FILTER (WHERE state = 'loaded') AS loaded,
    count(*) FILTER (WHERE state = 'refused') AS refused
FROM audit.delivery
