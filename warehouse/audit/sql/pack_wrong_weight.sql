-- One row per item whose weight is another than the rules give.
CREATE OR REPLACE TEMP TABLE wrong_weight AS
SELECT *
FROM item
INNER JOIN weighed USING (kato, kpi_code)
WHERE abs(weight - weight_again) > ${tolerance}
