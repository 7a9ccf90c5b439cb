-- ECB01-1 version 1: Business permits and notifications filed electronically
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.channel = 'ONLINE')), 0) AS DECIMAL(38,6)) AS ecb01_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS ecb01_1_v1_d,
       count(*) AS ecb01_1_v1_s
FROM showcase.fct_business_application AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."submitted_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECB01-2 version 1: Median processing time of business permits
SELECT c.kato, c.period_id,
       CAST(quantile_disc(DATE_DIFF('DAY', t.submitted_at, t.decided_at), 0.5) FILTER (WHERE (t.permit_type <> 'NOTIFICATION')) AS DOUBLE) AS ecb01_2_v1_n,
       CAST(quantile_disc(DATE_DIFF('DAY', t.submitted_at, t.decided_at), -0.5) FILTER (WHERE (t.permit_type <> 'NOTIFICATION')) AS DOUBLE) AS ecb01_2_v1_h,
       count(DATE_DIFF('DAY', t.submitted_at, t.decided_at)) FILTER (WHERE (t.permit_type <> 'NOTIFICATION')) AS ecb01_2_v1_s
FROM showcase.fct_business_application AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."decided_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECB02-1 version 1: Land plots granted through electronic auctions
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_auction_eligible) AND (t.procedure = 'E_AUCTION')), 0) AS DECIMAL(38,6)) AS ecb02_1_v1_n,
       CAST(coalesce(count_if((t.is_auction_eligible)), 0) AS DECIMAL(38,6)) AS ecb02_1_v1_d,
       coalesce(count_if((t.is_auction_eligible)), 0) AS ecb02_1_v1_s
FROM showcase.fct_land_grant AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."granted_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECB02-2 version 1: Investment projects moved to the next stage in the planned time
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.actual_end_at <= t.planned_end_at)), 0) AS DECIMAL(38,6)) AS ecb02_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS ecb02_2_v1_d,
       count(*) AS ecb02_2_v1_s
FROM showcase.fct_investment_stage AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."planned_end_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECB03-1 version 1: New businesses active two years after registration
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.closed_at IS NULL OR t.closed_at >= t.second_anniversary_at)), 0) AS DECIMAL(38,6)) AS ecb03_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS ecb03_1_v1_d,
       count(*) AS ecb03_1_v1_s
FROM showcase.dim_business AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."second_anniversary_at" >= c.period_start AND t."second_anniversary_at" < c.period_end
GROUP BY c.kato, c.period_id;

-- ECB03-2 version 1: Active businesses per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_active)), 0) AS DECIMAL(38,6)) AS ecb03_2_v1_n,
       coalesce(count_if((t.is_active)), 0) AS ecb03_2_v1_s
FROM showcase.dim_business AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."registered_at" < c.period_end AND (t."closed_at" IS NULL OR t."closed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- ECB03-2 version 1: Active businesses per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS ecb03_2_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- ECB04-1 version 1: Accommodation places connected to guest registration
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.last_guest_event_at >= c.period_end - INTERVAL '30' DAY)), 0) AS DECIMAL(38,6)) AS ecb04_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS ecb04_1_v1_d,
       count(*) AS ecb04_1_v1_s
FROM showcase.dim_accommodation AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."opened_at" < c.period_end AND (t."closed_at" IS NULL OR t."closed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- ECB04-2 version 1: Overnight visitor stays per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(SUM(t.nights) AS DECIMAL(38,6)) AS ecb04_2_v1_n,
       count(*) AS ecb04_2_v1_s
FROM showcase.fct_guest_stay AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."checked_out_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECB04-2 version 1: Overnight visitor stays per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS ecb04_2_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- ECO01-1 version 1: Mean PM2.5 concentration
SELECT c.kato, c.period_id,
       CAST(sum(t.value_ug_m3) FILTER (WHERE (t.pollutant = 'PM25' AND t.is_valid)) AS DECIMAL(38,6)) AS eco01_1_v1_n,
       count(t.value_ug_m3) FILTER (WHERE (t.pollutant = 'PM25' AND t.is_valid)) AS eco01_1_v1_s
FROM showcase.fct_air_hour AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."hour_start") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECO01-2 version 1: Valid data capture of automatic air stations
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_valid)), 0) AS DECIMAL(38,6)) AS eco01_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS eco01_2_v1_d,
       count(*) AS eco01_2_v1_s
FROM showcase.fct_air_hour AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."hour_start") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECO01-2 version 2: Valid data capture of automatic air stations
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_valid AND DATE_TRUNC('HOUR', t.hour_start) = t.hour_start)), 0) AS DECIMAL(38,6)) AS eco01_2_v2_n,
       count(*) AS eco01_2_v2_s
FROM showcase.fct_air_hour AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."hour_start") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECO01-2 version 2: Valid data capture of automatic air stations
SELECT c.kato, c.period_id,
       CAST(SUM(24 * DATE_DIFF('DAY', GREATEST(t.since, c.period_start), LEAST(COALESCE(t.until, c.period_end), c.period_end))) AS DECIMAL(38,6)) AS eco01_2_v2_d
FROM showcase.dim_air_station AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."since" < c.period_end AND (t."until" IS NULL OR t."until" > c.period_start)
GROUP BY c.kato, c.period_id;

-- ECO02-1 version 1: Waste container sites with fill sensors
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.has_active_sensor)), 0) AS DECIMAL(38,6)) AS eco02_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS eco02_1_v1_d,
       count(*) AS eco02_1_v1_s
FROM showcase.dim_waste_site AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."opened_at" < c.period_end AND (t."closed_at" IS NULL OR t."closed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- ECO02-2 version 1: Municipal solid waste recycled
SELECT c.kato, c.period_id,
       CAST(SUM(t.net_tonnes) FILTER (WHERE (t.treatment = 'RECYCLED')) AS DECIMAL(38,6)) AS eco02_2_v1_n,
       CAST(SUM(t.net_tonnes) AS DECIMAL(38,6)) AS eco02_2_v1_d,
       count(*) AS eco02_2_v1_s
FROM showcase.fct_waste_weighing AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."weighed_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECO03-1 version 1: Public green area per resident
SELECT c.kato, c.period_id,
       CAST(SUM(t.area_m2) FILTER (WHERE (t.is_public)) AS DECIMAL(38,6)) AS eco03_1_v1_n,
       coalesce(count_if((t.is_public)), 0) AS eco03_1_v1_s
FROM showcase.dim_green_asset AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."valid_from" < c.period_end AND (t."valid_to" IS NULL OR t."valid_to" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- ECO03-1 version 1: Public green area per resident
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS eco03_1_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- ECO03-2 version 1: Planted trees alive after one year
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.condition IN ('GOOD', 'FAIR', 'POOR'))), 0) AS DECIMAL(38,6)) AS eco03_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS eco03_2_v1_d,
       count(*) AS eco03_2_v1_s
FROM showcase.fct_tree_inspection AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."planted_anniversary_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- ECO04-1 version 1: Category I emission sources with automatic monitoring on line
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.object_category = 1 AND t.monitoring_required) AND (t.last_telemetry_at >= c.period_end - INTERVAL '1' DAY)), 0) AS DECIMAL(38,6)) AS eco04_1_v1_n,
       CAST(coalesce(count_if((t.object_category = 1 AND t.monitoring_required)), 0) AS DECIMAL(38,6)) AS eco04_1_v1_d,
       coalesce(count_if((t.object_category = 1 AND t.monitoring_required)), 0) AS eco04_1_v1_s
FROM showcase.dim_emission_source AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."registered_at" < c.period_end AND (t."closed_at" IS NULL OR t."closed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- ECO04-2 version 1: Real-time water-quality stations on water bodies per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_realtime)), 0) AS DECIMAL(38,6)) AS eco04_2_v1_n,
       coalesce(count_if((t.is_realtime)), 0) AS eco04_2_v1_s
FROM showcase.dim_water_station AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."commissioned_at" < c.period_end AND (t."retired_at" IS NULL OR t."retired_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- ECO04-2 version 1: Real-time water-quality stations on water bodies per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS eco04_2_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- HCS01-1 version 1: Smart electricity meters
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.resource = 'ELECTRICITY') AND (t.is_smart)), 0) AS DECIMAL(38,6)) AS hcs01_1_v1_n,
       CAST(coalesce(count_if((t.resource = 'ELECTRICITY')), 0) AS DECIMAL(38,6)) AS hcs01_1_v1_d,
       coalesce(count_if((t.resource = 'ELECTRICITY')), 0) AS hcs01_1_v1_s
FROM showcase.dim_meter AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."installed_at" < c.period_end AND (t."removed_at" IS NULL OR t."removed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- HCS01-2 version 1: Smart water meters
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.resource = 'COLD_WATER') AND (t.is_smart)), 0) AS DECIMAL(38,6)) AS hcs01_2_v1_n,
       CAST(coalesce(count_if((t.resource = 'COLD_WATER')), 0) AS DECIMAL(38,6)) AS hcs01_2_v1_d,
       coalesce(count_if((t.resource = 'COLD_WATER')), 0) AS hcs01_2_v1_s
FROM showcase.dim_meter AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."installed_at" < c.period_end AND (t."removed_at" IS NULL OR t."removed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- HCS02-1 version 1: Water loss (supplied but not delivered to users)
SELECT c.kato, c.period_id,
       CAST(SUM(t.supplied_m3 - t.delivered_m3) AS DECIMAL(38,6)) AS hcs02_1_v1_n,
       CAST(SUM(t.supplied_m3) AS DECIMAL(38,6)) AS hcs02_1_v1_d,
       count(*) AS hcs02_1_v1_s
FROM showcase.fct_water_balance AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."period_start_date") = c.period_start
GROUP BY c.kato, c.period_id;

-- HCS02-2 version 1: Water network length monitored by a smart system
SELECT c.kato, c.period_id,
       CAST(SUM(t.length_km) FILTER (WHERE (t.network = 'WATER') AND (t.is_monitored)) AS DECIMAL(38,6)) AS hcs02_2_v1_n,
       CAST(SUM(t.length_km) FILTER (WHERE (t.network = 'WATER')) AS DECIMAL(38,6)) AS hcs02_2_v1_d,
       coalesce(count_if((t.network = 'WATER')), 0) AS hcs02_2_v1_s
FROM showcase.dim_network_segment AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."valid_from" < c.period_end AND (t."valid_to" IS NULL OR t."valid_to" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- HCS03-1 version 1: Power interruptions per customer (SAIFI)
SELECT c.kato, c.period_id,
       CAST(SUM(t.customers_affected) FILTER (WHERE (t.resource = 'ELECTRICITY' AND (t.ended_at IS NULL OR t.ended_at >= t.started_at + INTERVAL '5' MINUTE))) AS DECIMAL(38,6)) AS hcs03_1_v1_n,
       coalesce(count_if((t.resource = 'ELECTRICITY' AND (t.ended_at IS NULL OR t.ended_at >= t.started_at + INTERVAL '5' MINUTE))), 0) AS hcs03_1_v1_s
FROM showcase.fct_outage AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."started_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- HCS03-1 version 1: Power interruptions per customer (SAIFI)
SELECT c.kato, c.period_id,
       CAST(MAX(t.customers) FILTER (WHERE (t.resource = 'ELECTRICITY')) AS DECIMAL(38,6)) AS hcs03_1_v1_d
FROM showcase.dim_customer_base AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- HCS03-2 version 1: Unplanned heat interruptions restored within the norm (heating season)
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.resource = 'HEAT' AND t.is_planned = FALSE) AND (t.ended_at <= t.restore_due_at)), 0) AS DECIMAL(38,6)) AS hcs03_2_v1_n,
       CAST(coalesce(count_if((t.resource = 'HEAT' AND t.is_planned = FALSE)), 0) AS DECIMAL(38,6)) AS hcs03_2_v1_d,
       coalesce(count_if((t.resource = 'HEAT' AND t.is_planned = FALSE)), 0) AS hcs03_2_v1_s
FROM showcase.fct_outage AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."restore_due_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- HCS04-1 version 1: Apartment buildings with a complete electronic passport
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_apartment) AND (t.passport_completeness >= 0.9)), 0) AS DECIMAL(38,6)) AS hcs04_1_v1_n,
       CAST(coalesce(count_if((t.is_apartment)), 0) AS DECIMAL(38,6)) AS hcs04_1_v1_d,
       coalesce(count_if((t.is_apartment)), 0) AS hcs04_1_v1_s
FROM showcase.dim_building AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."commissioned_at" < c.period_end AND (t."demolished_at" IS NULL OR t."demolished_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- HCS04-2 version 1: Housing dispatch requests closed in time
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.closed_at <= t.due_at)), 0) AS DECIMAL(38,6)) AS hcs04_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS hcs04_2_v1_d,
       count(*) AS hcs04_2_v1_s
FROM showcase.fct_housing_request AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."due_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- INF01-1 version 1: Street lights under a light management system
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_remotely_managed)), 0) AS DECIMAL(38,6)) AS inf01_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS inf01_1_v1_d,
       count(*) AS inf01_1_v1_s
FROM showcase.dim_street_light AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."installed_at" < c.period_end AND (t."removed_at" IS NULL OR t."removed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- INF01-2 version 1: Electricity used for street lighting per km of lit street per year
SELECT c.kato, c.period_id,
       CAST(SUM(t.energy_kwh) AS DECIMAL(38,6)) AS inf01_2_v1_n,
       count(*) AS inf01_2_v1_s
FROM showcase.fct_lighting_energy AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."period_start_date") = c.period_start
GROUP BY c.kato, c.period_id;

-- INF01-2 version 1: Electricity used for street lighting per km of lit street per year
SELECT c.kato, c.period_id,
       CAST(SUM(t.length_km) FILTER (WHERE (t.is_lit)) AS DECIMAL(38,6)) AS inf01_2_v1_d
FROM showcase.dim_street_segment AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."valid_from" < c.period_end AND (t."valid_to" IS NULL OR t."valid_to" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- INF02-1 version 1: Residential addresses with fixed access of 100 Mbit/s or more available
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_residential) AND (t.max_down_mbps >= 100)), 0) AS DECIMAL(38,6)) AS inf02_1_v1_n,
       CAST(coalesce(count_if((t.is_residential)), 0) AS DECIMAL(38,6)) AS inf02_1_v1_d,
       coalesce(count_if((t.is_residential)), 0) AS inf02_1_v1_s
FROM showcase.fct_address_broadband AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- INF02-2 version 1: City area without mobile broadband (dead spots)
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.best_technology IN ('NONE', '2G'))), 0) AS DECIMAL(38,6)) AS inf02_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS inf02_2_v1_d,
       count(*) AS inf02_2_v1_s
FROM showcase.fct_cell_coverage AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- INF03-1 version 1: Building permits filed through the electronic system
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.channel = 'ONLINE')), 0) AS DECIMAL(38,6)) AS inf03_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS inf03_1_v1_d,
       count(*) AS inf03_1_v1_s
FROM showcase.fct_building_permit AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."submitted_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- INF03-2 version 1: Mean time for building permit approval
SELECT c.kato, c.period_id,
       CAST(sum(DATE_DIFF('DAY', t.submitted_at, t.approved_at)) AS DECIMAL(38,6)) AS inf03_2_v1_n,
       count(DATE_DIFF('DAY', t.submitted_at, t.approved_at)) AS inf03_2_v1_s
FROM showcase.fct_building_permit AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."approved_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- INF04-1 version 1: Engineering networks surveyed into the geoportal
SELECT c.kato, c.period_id,
       CAST(SUM(t.length_km) FILTER (WHERE (t.survey_grade IN ('A', 'B'))) AS DECIMAL(38,6)) AS inf04_1_v1_n,
       CAST(SUM(t.length_km) AS DECIMAL(38,6)) AS inf04_1_v1_d,
       count(*) AS inf04_1_v1_s
FROM showcase.dim_network_segment AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."valid_from" < c.period_end AND (t."valid_to" IS NULL OR t."valid_to" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- INF04-2 version 1: Excavation orders with surface restored in time
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.restored_at <= t.restore_due_at)), 0) AS DECIMAL(38,6)) AS inf04_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS inf04_2_v1_d,
       count(*) AS inf04_2_v1_s
FROM showcase.fct_excavation_order AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."restore_due_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT01-1 version 1: MIO information systems integrated with the situational centre and delivering data
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.integrated_at < c.period_end AND t.last_delivery_at >= c.period_end - INTERVAL '7' DAY)), 0) AS DECIMAL(38,6)) AS mgt01_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS mgt01_1_v1_d,
       count(*) AS mgt01_1_v1_s
FROM showcase.dim_information_system AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."commissioned_at" < c.period_end AND (t."retired_at" IS NULL OR t."retired_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- MGT01-2 version 1: AI assistant sessions resolved without an operator and not repeated within 72 h
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_service_request) AND (t.resolved_by = 'AI' AND t.repeated_within_72h = FALSE)), 0) AS DECIMAL(38,6)) AS mgt01_2_v1_n,
       CAST(coalesce(count_if((t.is_service_request)), 0) AS DECIMAL(38,6)) AS mgt01_2_v1_d,
       coalesce(count_if((t.is_service_request)), 0) AS mgt01_2_v1_s
FROM showcase.fct_ai_session AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."started_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT02-1 version 1: Citizens' appeals closed within the statutory time
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.status <> 'WITHDRAWN') AND (t.closed_at <= t.due_at)), 0) AS DECIMAL(38,6)) AS mgt02_1_v1_n,
       CAST(coalesce(count_if((t.status <> 'WITHDRAWN')), 0) AS DECIMAL(38,6)) AS mgt02_1_v1_d,
       coalesce(count_if((t.status <> 'WITHDRAWN')), 0) AS mgt02_1_v1_s
FROM showcase.fct_appeal AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."due_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT02-2 version 1: Median response time to non-emergency inquiries
SELECT c.kato, c.period_id,
       CAST(quantile_disc(DATE_DIFF('MINUTE', t.registered_at, t.first_answer_at) / 1440.0, 0.5) FILTER (WHERE (t.is_emergency = FALSE)) AS DOUBLE) AS mgt02_2_v1_n,
       CAST(quantile_disc(DATE_DIFF('MINUTE', t.registered_at, t.first_answer_at) / 1440.0, -0.5) FILTER (WHERE (t.is_emergency = FALSE)) AS DOUBLE) AS mgt02_2_v1_h,
       count(DATE_DIFF('MINUTE', t.registered_at, t.first_answer_at) / 1440.0) FILTER (WHERE (t.is_emergency = FALSE)) AS mgt02_2_v1_s
FROM showcase.fct_appeal AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."first_answer_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT02-2 version 2: Median response time to non-emergency inquiries
SELECT c.kato, c.period_id,
       CAST(quantile_disc(DATE_DIFF('MICROSECOND', t.registered_at, t.first_answer_at) / 86400000000.0, 0.5) FILTER (WHERE (t.is_emergency = FALSE)) AS DOUBLE) AS mgt02_2_v2_n,
       CAST(quantile_disc(DATE_DIFF('MICROSECOND', t.registered_at, t.first_answer_at) / 86400000000.0, -0.5) FILTER (WHERE (t.is_emergency = FALSE)) AS DOUBLE) AS mgt02_2_v2_h,
       count(DATE_DIFF('MICROSECOND', t.registered_at, t.first_answer_at) / 86400000000.0) FILTER (WHERE (t.is_emergency = FALSE)) AS mgt02_2_v2_s
FROM showcase.fct_appeal AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."first_answer_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT03-1 version 1: City services accessible and requestable online
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_fully_online)), 0) AS DECIMAL(38,6)) AS mgt03_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS mgt03_1_v1_d,
       count(*) AS mgt03_1_v1_s
FROM showcase.dim_service AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."valid_from" < c.period_end AND (t."valid_to" IS NULL OR t."valid_to" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- MGT03-2 version 1: Online service applications completed in time
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.channel = 'ONLINE' AND t.status <> 'WITHDRAWN') AND (t.completed_at <= t.due_at)), 0) AS DECIMAL(38,6)) AS mgt03_2_v1_n,
       CAST(coalesce(count_if((t.channel = 'ONLINE' AND t.status <> 'WITHDRAWN')), 0) AS DECIMAL(38,6)) AS mgt03_2_v1_d,
       coalesce(count_if((t.channel = 'ONLINE' AND t.status <> 'WITHDRAWN')), 0) AS mgt03_2_v1_s
FROM showcase.fct_service_application AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."due_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT04-1 version 1: Inventoried datasets published as open data and up to date
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.published_at < c.period_end AND DATE_DIFF('DAY', t.last_updated_at, c.period_end) <= t.update_interval_days)), 0) AS DECIMAL(38,6)) AS mgt04_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS mgt04_1_v1_d,
       count(*) AS mgt04_1_v1_s
FROM showcase.dim_open_dataset AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."inventoried_at" < c.period_end AND (t."withdrawn_at" IS NULL OR t."withdrawn_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- MGT04-2 version 1: Residents taking part in electronic city decisions, per 1 000 residents
SELECT c.kato, c.period_id,
       CAST(COUNT(DISTINCT t.participant_hash) FILTER (WHERE (t.is_verified)) AS DECIMAL(38,6)) AS mgt04_2_v1_n,
       coalesce(count_if((t.is_verified)), 0) AS mgt04_2_v1_s
FROM showcase.fct_participation AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."voted_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- MGT04-2 version 1: Residents taking part in electronic city decisions, per 1 000 residents
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS mgt04_2_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- SAF01-1 version 1: Built-up city area covered by working surveillance cameras
SELECT c.kato, c.period_id,
       CAST(COUNT(DISTINCT t.cell_id) FILTER (WHERE (t.is_built_up_cell AND t.camera_uptime_share >= 0.9)) AS DECIMAL(38,6)) AS saf01_1_v1_n,
       coalesce(count_if((t.is_built_up_cell AND t.camera_uptime_share >= 0.9)), 0) AS saf01_1_v1_s
FROM showcase.map_camera_cell AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."valid_from" < c.period_end AND (t."valid_to" IS NULL OR t."valid_to" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- SAF01-1 version 1: Built-up city area covered by working surveillance cameras
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_built_up)), 0) AS DECIMAL(38,6)) AS saf01_1_v1_d
FROM showcase.dim_grid_cell AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."valid_from" < c.period_end AND (t."valid_to" IS NULL OR t."valid_to" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- SAF01-2 version 1: Confirmed video-analytics events reacted to within the time norm
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_confirmed) AND (t.reacted_at <= t.reaction_due_at)), 0) AS DECIMAL(38,6)) AS saf01_2_v1_n,
       CAST(coalesce(count_if((t.is_confirmed)), 0) AS DECIMAL(38,6)) AS saf01_2_v1_d,
       coalesce(count_if((t.is_confirmed)), 0) AS saf01_2_v1_s
FROM showcase.fct_video_event AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."reaction_due_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SAF02-1 version 1: 90th percentile of emergency response time (call to arrival)
SELECT c.kato, c.period_id,
       CAST(list_sort(list(DATE_DIFF('SECOND', t.received_at, t.first_arrived_at) / 60.0) FILTER (WHERE (t.priority = 1) AND (DATE_DIFF('SECOND', t.received_at, t.first_arrived_at) / 60.0) IS NOT NULL))[CAST(floor((count(DATE_DIFF('SECOND', t.received_at, t.first_arrived_at) / 60.0) FILTER (WHERE (t.priority = 1)) - 1) * CAST(0.9 AS DOUBLE)) AS BIGINT) + 1] AS DOUBLE) AS saf02_1_v1_n,
       CAST(list_sort(list(DATE_DIFF('SECOND', t.received_at, t.first_arrived_at) / 60.0) FILTER (WHERE (t.priority = 1) AND (DATE_DIFF('SECOND', t.received_at, t.first_arrived_at) / 60.0) IS NOT NULL))[CAST(ceil((count(DATE_DIFF('SECOND', t.received_at, t.first_arrived_at) / 60.0) FILTER (WHERE (t.priority = 1)) - 1) * CAST(0.9 AS DOUBLE)) AS BIGINT) + 1] AS DOUBLE) AS saf02_1_v1_h,
       count(DATE_DIFF('SECOND', t.received_at, t.first_arrived_at) / 60.0) FILTER (WHERE (t.priority = 1)) AS saf02_1_v1_s
FROM showcase.fct_emergency_call AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."first_arrived_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SAF02-1 version 2: 90th percentile of emergency response time (call to arrival)
SELECT c.kato, c.period_id,
       CAST(list_sort(list(DATE_DIFF('MICROSECOND', t.received_at, t.first_arrived_at) / 60000000.0) FILTER (WHERE (t.priority = 1) AND (DATE_DIFF('MICROSECOND', t.received_at, t.first_arrived_at) / 60000000.0) IS NOT NULL))[CAST(floor((count(DATE_DIFF('MICROSECOND', t.received_at, t.first_arrived_at) / 60000000.0) FILTER (WHERE (t.priority = 1)) - 1) * CAST(0.9 AS DOUBLE)) AS BIGINT) + 1] AS DOUBLE) AS saf02_1_v2_n,
       CAST(list_sort(list(DATE_DIFF('MICROSECOND', t.received_at, t.first_arrived_at) / 60000000.0) FILTER (WHERE (t.priority = 1) AND (DATE_DIFF('MICROSECOND', t.received_at, t.first_arrived_at) / 60000000.0) IS NOT NULL))[CAST(ceil((count(DATE_DIFF('MICROSECOND', t.received_at, t.first_arrived_at) / 60000000.0) FILTER (WHERE (t.priority = 1)) - 1) * CAST(0.9 AS DOUBLE)) AS BIGINT) + 1] AS DOUBLE) AS saf02_1_v2_h,
       count(DATE_DIFF('MICROSECOND', t.received_at, t.first_arrived_at) / 60000000.0) FILTER (WHERE (t.priority = 1)) AS saf02_1_v2_s
FROM showcase.fct_emergency_call AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."first_arrived_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SAF02-2 version 1: 112 calls answered within 10 seconds
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.answered_at <= t.received_at + INTERVAL '10' SECOND)), 0) AS DECIMAL(38,6)) AS saf02_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS saf02_2_v1_d,
       count(*) AS saf02_2_v1_s
FROM showcase.fct_emergency_call AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."received_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SAF03-1 version 1: Residents of hazard zones reached by the early-warning system in tests and alerts
SELECT c.kato, c.period_id,
       CAST(SUM(t.delivered_recipients) AS DECIMAL(38,6)) AS saf03_1_v1_n,
       CAST(SUM(t.targeted_recipients) AS DECIMAL(38,6)) AS saf03_1_v1_d,
       count(*) AS saf03_1_v1_s
FROM showcase.fct_alert_delivery AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."issued_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SAF03-2 version 1: Availability of hazard sensors (flood, fire, gas)
SELECT c.kato, c.period_id,
       CAST(SUM(t.online_minutes) FILTER (WHERE (t.sensor_class = 'HAZARD')) AS DECIMAL(38,6)) AS saf03_2_v1_n,
       CAST(SUM(t.expected_minutes) FILTER (WHERE (t.sensor_class = 'HAZARD')) AS DECIMAL(38,6)) AS saf03_2_v1_d,
       coalesce(count_if((t.sensor_class = 'HAZARD')), 0) AS saf03_2_v1_s
FROM showcase.fct_sensor_day AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."day") = c.period_start
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

-- SAF04-2 version 1: High-risk road sections covered by automatic recording
SELECT c.kato, c.period_id,
       CAST(COUNT(DISTINCT t.section_id) FILTER (WHERE (t.enforcement_device_active)) AS DECIMAL(38,6)) AS saf04_2_v1_n,
       CAST(COUNT(DISTINCT t.section_id) AS DECIMAL(38,6)) AS saf04_2_v1_d,
       count(*) AS saf04_2_v1_s
FROM showcase.dim_risk_section AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."listed_at" < c.period_end AND (t."delisted_at" IS NULL OR t."delisted_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- SOC01-1 version 1: Median wait for a kindergarten place
SELECT c.kato, c.period_id,
       CAST(quantile_disc(DATE_DIFF('DAY', t.applied_at, t.placed_at), 0.5) AS DOUBLE) AS soc01_1_v1_n,
       CAST(quantile_disc(DATE_DIFF('DAY', t.applied_at, t.placed_at), -0.5) AS DOUBLE) AS soc01_1_v1_h,
       count(DATE_DIFF('DAY', t.applied_at, t.placed_at)) AS soc01_1_v1_s
FROM showcase.fct_kindergarten_application AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."placed_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SOC01-2 version 1: Digital learning devices per 1 000 students
SELECT c.kato, c.period_id,
       CAST(SUM(t.working_devices) AS DECIMAL(38,6)) AS soc01_2_v1_n,
       CAST(SUM(t.students) AS DECIMAL(38,6)) AS soc01_2_v1_d,
       count(*) AS soc01_2_v1_s
FROM showcase.fct_school_inventory AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- SOC02-1 version 1: Online bookings of cultural facilities per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.channel = 'ONLINE' AND t.status <> 'CANCELLED')), 0) AS DECIMAL(38,6)) AS soc02_1_v1_n,
       coalesce(count_if((t.channel = 'ONLINE' AND t.status <> 'CANCELLED')), 0) AS soc02_1_v1_s
FROM showcase.fct_culture_booking AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."booked_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SOC02-1 version 1: Online bookings of cultural facilities per 100 000 residents
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS soc02_1_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- SOC02-2 version 1: Cultural records digitised
SELECT c.kato, c.period_id,
       CAST(SUM(t.digitised_items) AS DECIMAL(38,6)) AS soc02_2_v1_n,
       CAST(SUM(t.total_items) AS DECIMAL(38,6)) AS soc02_2_v1_d,
       count(*) AS soc02_2_v1_s
FROM showcase.fct_culture_inventory AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- SOC03-1 version 1: Residents with a unified electronic health record
SELECT c.kato, c.period_id,
       CAST(SUM(t.shared_record_residents) AS DECIMAL(38,6)) AS soc03_1_v1_n,
       CAST(SUM(t.attached_residents) AS DECIMAL(38,6)) AS soc03_1_v1_d,
       count(*) AS soc03_1_v1_s
FROM showcase.fct_health_coverage AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- SOC03-2 version 1: Primary-care appointments booked electronically and held within 3 working days
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.status = 'HELD') AND (t.booked_channel IN ('APP', 'PORTAL', 'TERMINAL') AND t.working_days_waited <= 3)), 0) AS DECIMAL(38,6)) AS soc03_2_v1_n,
       CAST(coalesce(count_if((t.status = 'HELD')), 0) AS DECIMAL(38,6)) AS soc03_2_v1_d,
       coalesce(count_if((t.status = 'HELD')), 0) AS soc03_2_v1_s
FROM showcase.fct_clinic_appointment AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."slot_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SOC04-1 version 1: Social benefits and services granted proactively
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.decision = 'GRANTED') AND (t.initiation = 'PROACTIVE')), 0) AS DECIMAL(38,6)) AS soc04_1_v1_n,
       CAST(coalesce(count_if((t.decision = 'GRANTED')), 0) AS DECIMAL(38,6)) AS soc04_1_v1_d,
       coalesce(count_if((t.decision = 'GRANTED')), 0) AS soc04_1_v1_s
FROM showcase.fct_social_case AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."decided_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- SOC04-2 version 1: Median time to decide on a special social service
SELECT c.kato, c.period_id,
       CAST(quantile_disc(DATE_DIFF('DAY', t.opened_at, t.decided_at), 0.5) FILTER (WHERE (t.service_group = 'SPECIAL')) AS DOUBLE) AS soc04_2_v1_n,
       CAST(quantile_disc(DATE_DIFF('DAY', t.opened_at, t.decided_at), -0.5) FILTER (WHERE (t.service_group = 'SPECIAL')) AS DOUBLE) AS soc04_2_v1_h,
       count(DATE_DIFF('DAY', t.opened_at, t.decided_at)) FILTER (WHERE (t.service_group = 'SPECIAL')) AS soc04_2_v1_s
FROM showcase.fct_social_case AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('quarter', t."decided_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- TRL01-1 version 1: Signal-controlled intersections with adaptive control
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_adaptive)), 0) AS DECIMAL(38,6)) AS trl01_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS trl01_1_v1_d,
       count(*) AS trl01_1_v1_s
FROM showcase.dim_traffic_signal AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."commissioned_at" < c.period_end AND (t."retired_at" IS NULL OR t."retired_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- TRL01-2 version 1: Travel time index (peak over free flow)
SELECT c.kato, c.period_id,
       CAST(SUM(t.peak_travel_seconds * t.vehicle_count) FILTER (WHERE (t.is_peak AND NOT t.peak_travel_seconds IS NULL AND NOT t.vehicle_count IS NULL)) AS DECIMAL(38,6)) AS trl01_2_v1_n,
       CAST(SUM(t.freeflow_travel_seconds * t.vehicle_count) FILTER (WHERE (t.is_peak AND NOT t.peak_travel_seconds IS NULL AND NOT t.vehicle_count IS NULL)) AS DECIMAL(38,6)) AS trl01_2_v1_d,
       coalesce(count_if((t.is_peak AND NOT t.peak_travel_seconds IS NULL AND NOT t.vehicle_count IS NULL)), 0) AS trl01_2_v1_s
FROM showcase.fct_segment_hour AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."hour_start") = c.period_start
GROUP BY c.kato, c.period_id;

-- TRL02-1 version 1: Stops with real-time arrival information
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.has_realtime_info)), 0) AS DECIMAL(38,6)) AS trl02_1_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS trl02_1_v1_d,
       count(*) AS trl02_1_v1_s
FROM showcase.dim_stop AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."opened_at" < c.period_end AND (t."closed_at" IS NULL OR t."closed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- TRL02-2 version 1: Trips departing on schedule (-1 to +3 minutes)
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((DATE_DIFF('SECOND', t.planned_departure_at, t.actual_departure_at) BETWEEN -60 AND 180)), 0) AS DECIMAL(38,6)) AS trl02_2_v1_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS trl02_2_v1_d,
       count(*) AS trl02_2_v1_s
FROM showcase.fct_trip AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."planned_departure_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- TRL02-2 version 2: Trips departing on schedule (-1 to +3 minutes)
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.actual_departure_at BETWEEN t.planned_departure_at - INTERVAL '60' SECOND AND t.planned_departure_at + INTERVAL '180' SECOND)), 0) AS DECIMAL(38,6)) AS trl02_2_v2_n,
       CAST(COUNT(*) AS DECIMAL(38,6)) AS trl02_2_v2_d,
       count(*) AS trl02_2_v2_s
FROM showcase.fct_trip AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."planned_departure_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- TRL03-1 version 1: Public transport rides paid electronically
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_boarding) AND (t.payment_type <> 'CASH')), 0) AS DECIMAL(38,6)) AS trl03_1_v1_n,
       CAST(coalesce(count_if((t.is_boarding)), 0) AS DECIMAL(38,6)) AS trl03_1_v1_d,
       coalesce(count_if((t.is_boarding)), 0) AS trl03_1_v1_s
FROM showcase.fct_fare_validation AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."validated_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- TRL03-2 version 1: Public transport trips per resident per year
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((t.is_boarding)), 0) AS DECIMAL(38,6)) AS trl03_2_v1_n,
       coalesce(count_if((t.is_boarding)), 0) AS trl03_2_v1_s
FROM showcase.fct_fare_validation AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('year', t."validated_at") = c.period_start
GROUP BY c.kato, c.period_id;

-- TRL03-2 version 1: Public transport trips per resident per year
SELECT c.kato, c.period_id,
       CAST(MAX(t.population) AS DECIMAL(38,6)) AS trl03_2_v1_d
FROM showcase.dim_population AS t
JOIN cells AS c ON t.kato = c.kato AND t."as_of_date" = c.period_end_population_date
GROUP BY c.kato, c.period_id;

-- TRL04-1 version 1: Public parking spaces with electronic payment
SELECT c.kato, c.period_id,
       CAST(SUM(t.spaces) FILTER (WHERE (t.has_epayment)) AS DECIMAL(38,6)) AS trl04_1_v1_n,
       CAST(SUM(t.spaces) AS DECIMAL(38,6)) AS trl04_1_v1_d,
       count(*) AS trl04_1_v1_s
FROM showcase.dim_parking_lot AS t
JOIN cells AS c ON t.kato = c.kato AND t.snapshot_date = c.period_end_population_date AND t."opened_at" < c.period_end AND (t."closed_at" IS NULL OR t."closed_at" >= c.period_end)
GROUP BY c.kato, c.period_id;

-- TRL04-2 version 1: Heavy goods vehicle passages within permitted mass (weigh-in-motion)
SELECT c.kato, c.period_id,
       CAST(coalesce(count_if((NOT t.permitted_mass_kg IS NULL) AND (t.gross_mass_kg <= t.permitted_mass_kg)), 0) AS DECIMAL(38,6)) AS trl04_2_v1_n,
       CAST(coalesce(count_if((NOT t.permitted_mass_kg IS NULL)), 0) AS DECIMAL(38,6)) AS trl04_2_v1_d,
       coalesce(count_if((NOT t.permitted_mass_kg IS NULL)), 0) AS trl04_2_v1_s
FROM showcase.fct_weigh_passage AS t
JOIN cells AS c ON t.kato = c.kato AND date_trunc('month', t."passed_at") = c.period_start
GROUP BY c.kato, c.period_id;
