-- The annual assessments, newest year first, each with its list and how many settlements it ranks
SELECT
    assessment.assessment_id,
    assessment.year,
    assessment.catalogue_id,
    assessment.status,
    assessment.version,
    assessment.rules_version,
    assessment.catalogue_version,
    assessment.made_at,
    assessment.as_of_seq,
    assessment.rules,
    catalogue.name_en,
    catalogue.name_ru,
    catalogue.name_kk,
    counted.settlements,
    counted.ranked,
    counted.insufficient,
    counted.without_data
FROM kpi.assessment AS assessment
JOIN (
    SELECT
        assessment_id,
        count(*) AS settlements,
        count(rank) AS ranked,
        count(*) FILTER (WHERE coverage_percent > 0 AND rank IS NULL) AS insufficient,
        count(*) FILTER (WHERE coverage_percent = 0) AS without_data
    FROM scorecard
    GROUP BY assessment_id
) AS counted USING (assessment_id)
LEFT JOIN registry.catalogue AS catalogue ON catalogue.catalogue_id = assessment.catalogue_id
ORDER BY assessment.year DESC, catalogue.catalogue_status = 'official' DESC, assessment.catalogue_id
