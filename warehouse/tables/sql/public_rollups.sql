-- Roll-ups as they may be made public: those of restricted KPIs are left out
SELECT *
FROM rollups
WHERE sensitivity <> 'restricted'
