{{ stage(
    'fct_fare_validation',
    columns={
        'validation_id': 'varchar', 'validated_at': 'timestamp', 'route_id': 'varchar', 'vehicle_id': 'varchar',
        'payment_type': 'varchar', 'is_boarding': 'boolean', 'card_hash': 'varchar',
    },
    rules=[
        ('validation_id.required', "validation_id is not null"),
        ('validation_id.length', "length(validation_id) <= 64"),
        ('validated_at.required', "validated_at is not null"),
        ('route_id.length', "length(route_id) <= 64"),
        ('vehicle_id.length', "length(vehicle_id) <= 64"),
        ('payment_type.required', "payment_type is not null"),
        ('is_boarding.required', "is_boarding is not null"),
        ('card_hash.pattern', "regexp_full_match(card_hash, '[0-9a-f]{64}')"),
        ('payment-type-domain', "payment_type in ('TRANSPORT_CARD', 'BANK_CARD', 'QR', 'SMS', 'CASH')"),
    ],
) }}
