-- ECO01-1 version 1: Mean PM2.5 concentration
SELECT c.kato, c.period_id,
       CAST(sum(t.value_ug_m3) FILTER (WHERE (t.pollutant = 'PM25' AND t.is_valid)) AS DECIMAL(38,6)) AS eco01_1_v1_n,
       count(t.value_ug_m3) FILTER (WHERE (t.pollutant = 'PM25' AND t.is_valid)) AS eco01_1_v1_s
FROM showcase.fct_air_hour AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."hour_start") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECO01-2 version 1: Valid data capture of automatic air stations
SELECT c.kato, c.period_id,
       CAST(COUNT(*) FILTER (WHERE (t.is_valid)) AS DECIMAL(38,6)) AS eco01_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS eco01_2_v1_d,
       count(*) AS eco01_2_v1_s
FROM showcase.fct_air_hour AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."hour_start") = c.period_start
GROUP BY c.kato, c.period_id;

-- INF03-2 version 1: Mean time for building permit approval
SELECT c.kato, c.period_id,
       CAST(sum(DATE_DIFF('DAY', t.submitted_at, t.approved_at)) AS DECIMAL(38,6)) AS inf03_2_v1_n,
       count(DATE_DIFF('DAY', t.submitted_at, t.approved_at)) AS inf03_2_v1_s
FROM showcase.fct_building_permit AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."approved_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT01-1 version 1: MIO information systems integrated with the situational centre and delivering data
SELECT c.kato, c.period_id,
       CAST(COUNT(*) FILTER (WHERE (t.integrated_at < c.period_end AND t.last_delivery_at >= c.period_end - INTERVAL '7' DAY)) AS DECIMAL(38,6)) AS mgt01_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS mgt01_1_v1_d,
       count(*) AS mgt01_1_v1_s
FROM showcase.dim_information_system AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."commissioned_at" < c.period_end AND (t."retired_at" IS NULL OR t."retired_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- MGT01-2 version 1: AI assistant sessions resolved without an operator and not repeated within 72 h
SELECT c.kato, c.period_id,
       CAST(COUNT(*) FILTER (WHERE (t.is_service_request) AND (t.resolved_by = 'AI' AND t.repeated_within_72h = FALSE)) AS DECIMAL(38,6)) AS mgt01_2_v1_n,
       CAST(COUNT(*) FILTER (WHERE (t.is_service_request)) AS DECIMAL(38,6)) AS mgt01_2_v1_d,
       count(*) FILTER (WHERE (t.is_service_request)) AS mgt01_2_v1_s
FROM showcase.fct_ai_session AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."started_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT02-1 version 1: Citizens' appeals closed within the statutory time
SELECT c.kato, c.period_id,
       CAST(COUNT(*) FILTER (WHERE (t.status <> 'WITHDRAWN') AND (t.closed_at <= t.due_at)) AS DECIMAL(38,6)) AS mgt02_1_v1_n,
       CAST(COUNT(*) FILTER (WHERE (t.status <> 'WITHDRAWN')) AS DECIMAL(38,6)) AS mgt02_1_v1_d,
       count(*) FILTER (WHERE (t.status <> 'WITHDRAWN')) AS mgt02_1_v1_s
FROM showcase.fct_appeal AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."due_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT02-2 version 1: Median response time to non-emergency inquiries
SELECT c.kato, c.period_id,
       CAST(MEDIAN(DATE_DIFF('MINUTE', t.registered_at, t.first_answer_at) / 1440.0) FILTER (WHERE (t.is_emergency = FALSE)) AS DOUBLE) AS mgt02_2_v1_n,
       count(DATE_DIFF('MINUTE', t.registered_at, t.first_answer_at) / 1440.0) FILTER (WHERE (t.is_emergency = FALSE)) AS mgt02_2_v1_s
FROM showcase.fct_appeal AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."first_answer_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SAF04-1 version 1: Road traffic deaths per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(SUM(t.deaths_30d) AS DECIMAL(38,6)) AS saf04_1_v1_n,
       count(*) AS saf04_1_v1_s
FROM showcase.fct_crash AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."occurred_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SAF04-1 version 1: Road traffic deaths per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS saf04_1_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- TRL02-2 version 1: Trips departing on schedule (-1 to +3 minutes)
SELECT c.kato, c.period_id,
       CAST(COUNT(*) FILTER (WHERE (DATE_DIFF('SECOND', t.planned_departure_at, t.actual_departure_at) BETWEEN -60 AND 180)) AS DECIMAL(38,6)) AS trl02_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS trl02_2_v1_d,
       count(*) AS trl02_2_v1_s
FROM showcase.fct_trip AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."planned_departure_at") = c.period_start
GROUP BY c.kato, c.period_id;
