-- By table and criterion: deliveries that pass, fail and were not judged
SELECT
    table_name,
    criterion,
    criterion_ru,
    count(*) FILTER (WHERE result = 'pass') AS pass,
    count(*) FILTER (WHERE result = 'fail') AS fail,
    count(*) FILTER (WHERE result = 'not judged') AS not_judged
FROM delivery_quality
GROUP BY ALL
