-- records of a delivery that are equal in every cell: all but the first are marked as left out
UPDATE ${stage} SET broken = ${rule}
FROM (
    SELECT
        delivery_no,
        ${record} AS digest,
        min(rowid) AS first_rowid
    FROM ${stage}
    WHERE NOT ${left_out}
    GROUP BY ALL
    HAVING count(*) > 1
) AS twice
WHERE
    ${stage}.delivery_no = twice.delivery_no
    AND ${stage}.${record} = twice.digest
    AND ${stage}.rowid > twice.first_rowid
    AND NOT ${left_out}
