-- a delivery that lost rows or columns is replaced as well by a later complete one that covers its days and
-- territory (adr/0020)
UPDATE work_loaded_delivery SET replaced = true
FROM (
    SELECT earlier.delivery_id AS replaced_id
    FROM work_loaded_delivery AS earlier
    JOIN work_loaded_delivery AS later USING (table_name, system)
    WHERE
        NOT earlier.replaced
        AND (earlier.rejected_rows > 0 OR earlier.unmapped IS NOT null)
        AND later.kind = 'complete'
        AND later.cut_by IS NOT null
        AND later.order_seq > earlier.order_seq
        AND later.period_start <= earlier.period_start
        AND later.period_end >= earlier.period_end
        AND ${covers}
) AS replacement
WHERE delivery_id = replaced_id
