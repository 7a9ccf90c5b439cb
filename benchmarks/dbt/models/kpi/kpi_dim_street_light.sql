{{ kpis(
    'dim_street_light',
    month="snapshot_date - interval 1 month",
    where="installed_at < snapshot_date and (removed_at is null or removed_at >= snapshot_date)",
    measures=[
        ('BEN01-12', 'share', "coalesce(sum(power_w) filter (where lamp_type = 'LED' and is_remotely_managed), 0)",
         "sum(power_w) filter (where lamp_type = 'LED')"),
    ],
) }}
