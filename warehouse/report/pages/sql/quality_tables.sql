-- Of every table and criterion how many deliveries pass, fail, or could not be judged
SELECT
    quality.*,
    criterion.position
FROM table_quality AS quality
JOIN registry.criterion AS criterion USING (criterion)
ORDER BY quality.table_name, criterion.position
