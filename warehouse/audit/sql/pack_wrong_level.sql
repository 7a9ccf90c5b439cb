-- One row per settlement whose recorded level is another than the sum.
CREATE OR REPLACE TEMP TABLE wrong_level AS
SELECT summed.kato
FROM summed
INNER JOIN read_parquet('scores.parquet') AS score ON summed.kato = score.kato AND score.node_kind = 'settlement'
WHERE abs(score.level - summed.level) > ${tolerance}
