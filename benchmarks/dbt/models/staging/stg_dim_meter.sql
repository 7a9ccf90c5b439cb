{{ stage(
    'dim_meter',
    columns={
        'meter_id': 'varchar', 'installed_at': 'date', 'removed_at': 'date', 'resource': 'varchar',
        'is_smart': 'boolean', 'verification_due_on': 'date', 'account_hash': 'varchar',
    },
    rules=[
        ('meter_id.required', "meter_id is not null"),
        ('meter_id.length', "length(meter_id) <= 64"),
        ('installed_at.required', "installed_at is not null"),
        ('resource.required', "resource is not null"),
        ('account_hash.pattern', "regexp_full_match(account_hash, '[0-9a-f]{64}')"),
        ('resource-domain', "resource in ('ELECTRICITY', 'COLD_WATER', 'HOT_WATER', 'HEAT', 'GAS')"),
        ('installed-before-removed', "removed_at >= installed_at"),
    ],
    register=true,
) }}
