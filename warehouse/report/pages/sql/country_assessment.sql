-- The annual assessments, newest year first, each with its list and how many settlements it ranks, lacks or knows nothing of
SELECT
    scorecard.year,
    scorecard.catalogue_id,
    scorecard.assessment_id,
    scorecard.status,
    scorecard.version,
    assessment.rules_version,
    assessment.catalogue_version,
    assessment.made_at,
    assessment.as_of_seq,
    assessment.rules,
    catalogue.name_en,
    catalogue.name_ru,
    catalogue.name_kk,
    catalogue.status AS catalogue_status,
    count(*) AS settlements,
    count(scorecard.rank) AS ranked,
    count(*) FILTER (WHERE scorecard.coverage_percent > 0 AND scorecard.rank IS NULL) AS insufficient,
    count(*) FILTER (WHERE scorecard.coverage_percent = 0) AS without_data
FROM scorecard
JOIN kpi.assessment AS assessment USING (assessment_id)
LEFT JOIN registry.catalogue AS catalogue ON catalogue.id = scorecard.catalogue_id
GROUP BY ALL
ORDER BY scorecard.year DESC, catalogue_status = 'official' DESC, scorecard.catalogue_id
