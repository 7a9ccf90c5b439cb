-- Values of whole years as they may be made public: those of restricted KPIs are left out
SELECT *
FROM year_values
WHERE sensitivity <> 'restricted'
