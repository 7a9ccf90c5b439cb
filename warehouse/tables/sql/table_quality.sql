-- By table and criterion: deliveries that pass, fail and were not judged
SELECT
    table_name,
    table_en,
    table_ru,
    table_kk,
    criterion,
    criterion_en,
    criterion_ru,
    criterion_kk,
    count(*) FILTER (WHERE result = 'pass') AS pass,
    count(*) FILTER (WHERE result = 'fail') AS fail,
    count(*) FILTER (WHERE result = 'not judged') AS not_judged
FROM delivery_quality
GROUP BY ALL
