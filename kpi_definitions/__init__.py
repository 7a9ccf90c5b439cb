"""The KPI catalogue as data, the model that validates it, and the compiler that turns it into SQL.

Belongs here: one folder `catalogues/<id>/` for every list (`catalogue.yaml`: identity, legal standing, dates of effect; one
`spheres/<sphere>/<initiative>.yaml` per initiative; `assessment/<version>.yaml`; `fingerprints.json`), units and
standards, their JSON Schema for editors, and the code that reads, checks, fingerprints and compiles them.
Does not belong here: how a table is filled, how a query is run, any value of any KPI. This package knows no
database, no Dagster and no connector; it is handed the columns of the warehouse tables and returns SQL text.
"""
