-- Every delivery with its state and counts
SELECT
    delivery.*,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru
FROM audit.delivery AS delivery
LEFT JOIN registry.settlement AS settlement ON settlement.kato = delivery.scope
