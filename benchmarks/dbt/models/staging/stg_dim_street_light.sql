{{ stage(
    'dim_street_light',
    columns={
        'light_id': 'varchar', 'segment_id': 'varchar', 'cabinet_id': 'varchar', 'lamp_type': 'varchar', 'power_w': 'integer',
        'is_remotely_managed': 'boolean', 'installed_at': 'date', 'removed_at': 'date',
    },
    rules=[
        ('light_id.required', "light_id is not null"),
        ('light_id.length', "length(light_id) <= 64"),
        ('segment_id.length', "length(segment_id) <= 64"),
        ('cabinet_id.length', "length(cabinet_id) <= 64"),
        ('power_w.range', "power_w between 1 and 2000"),
        ('installed_at.required', "installed_at is not null"),
        ('lamp-type-domain', "lamp_type in ('LED', 'SODIUM', 'MERCURY', 'METAL_HALIDE', 'OTHER')"),
        ('installed-before-removed', "removed_at >= installed_at"),
    ],
    register=true,
) }}
