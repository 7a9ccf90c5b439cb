-- Plan beside fact as it may be made public: restricted KPIs are left out
SELECT *
FROM plan_beside_fact
WHERE sensitivity <> 'restricted'
