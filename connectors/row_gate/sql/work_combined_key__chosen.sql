-- one row per delivery and key: what its first, or last, records say of some columns
SELECT
    ${key},
    ${measures}
FROM ${stage} AS stage
JOIN records AS found ON ${same_key} AND stage.${order} = found.${extreme} AND NOT ${left_out}
GROUP BY ${key}
