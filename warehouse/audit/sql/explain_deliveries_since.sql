-- One row per delivery decided on between two sequences that is for a period or by which rows of it came or went.
SELECT
    delivery_id,
    table_name,
    period_id,
    file_name
FROM audit.delivery
WHERE
    loaded_seq > ${after_seq}
    AND loaded_seq <= ${until_seq}
    AND state IN ('loaded', 'refused')
    AND table_name IN (${tables})
    AND (scope = ${kato} OR scope = 'KZ' OR (length(scope) = 2 AND starts_with(${kato}, scope)))
    AND (
        (period_start < ${period_end} AND period_end > ${period_start})
        OR loaded_seq IN (${moving_seqs})
    )
ORDER BY delivery_id
