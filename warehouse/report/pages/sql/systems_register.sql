-- The newest register of information systems of every settlement: systems in operation on its day
SELECT
    register.kato,
    register.mio_code,
    register.system_id,
    register.name,
    register.initiative_code,
    register.origin,
    register.portal_solution_id,
    register.commissioned_at,
    register.integrated_at,
    register.sdu_integrated_at,
    register.last_delivery_at,
    register.snapshot_date
FROM showcase.dim_information_system AS register
WHERE
    register.commissioned_at < register.snapshot_date
    AND (register.retired_at IS NULL OR register.retired_at >= register.snapshot_date)
QUALIFY register.snapshot_date = max(register.snapshot_date) OVER (PARTITION BY register.kato)
ORDER BY register.kato, register.mio_code, register.system_id
