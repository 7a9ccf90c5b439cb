{{ kpis(
    'dim_meter',
    month="snapshot_date - interval 1 month",
    where="installed_at < snapshot_date and (removed_at is null or removed_at >= snapshot_date)",
    measures=[
        ('BEN01-10', 'share', "count(*) filter (where resource = 'ELECTRICITY' and is_smart)",
         "count(*) filter (where resource = 'ELECTRICITY')"),
        ('BEN01-11', 'share', "count(*) filter (where verification_due_on >= snapshot_date)", "count(*)"),
    ],
) }}
