-- every decided delivery gets its decision and its counts
UPDATE audit.delivery AS delivery SET
    state = decided.state,
    reason = decided.reason,
    contract_id = decided.contract_id,
    contract_version = decided.contract_version,
    kind = decided.kind,
    cut_by = decided.cut_by,
    order_seq = decided.order_seq,
    unmapped = decided.unmapped,
    received_rows = decided.received,
    accepted_rows = decided.accepted,
    rejected_rows = decided.rejected,
    loaded_seq = decided.seq,
    loaded_at = ${now}
FROM work_decided_delivery AS decided
WHERE delivery.delivery_id = decided.delivery_id
