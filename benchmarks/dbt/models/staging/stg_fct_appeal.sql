{{ stage(
    'fct_appeal',
    columns={
        'appeal_id': 'varchar', 'registered_at': 'timestamp', 'due_at': 'timestamp', 'first_answer_at': 'timestamp',
        'closed_at': 'timestamp', 'status': 'varchar', 'category': 'varchar', 'channel': 'varchar', 'is_emergency': 'boolean',
    },
    rules=[
        ('appeal_id.required', "appeal_id is not null"),
        ('appeal_id.length', "length(appeal_id) <= 64"),
        ('registered_at.required', "registered_at is not null"),
        ('status.required', "status is not null"),
        ('category.length', "length(category) <= 200"),
        ('channel.length', "length(channel) <= 100"),
        ('is_emergency.required', "is_emergency is not null"),
        ('status-domain', "status in ('OPEN', 'CLOSED', 'WITHDRAWN')"),
        ('registered-before-closed', "closed_at >= registered_at"),
        ('registered-before-answer', "first_answer_at >= registered_at"),
    ],
) }}
