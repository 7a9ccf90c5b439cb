{{ kpis('fct_appeal', month="date_trunc('month', registered_at)", measures=[
    ('BEN01-7', 'share', "count(*) filter (where not is_emergency and closed_at <= due_at)", "count(*) filter (where not is_emergency)"),
    ('BEN01-8', 'mean', "sum(date_diff('day', registered_at, first_answer_at))", "count(first_answer_at)"),
    ('BEN01-9', 'quantile', "quantile_cont(date_diff('day', registered_at, first_answer_at), 0.9)", "count(first_answer_at)"),
]) }}
