"""Numbers are made: due cells, scans, coverage, states, values, roll-ups, assessments. From the warehouse alone.

Belongs here: every step from showcase rows to a value that can be published. Does not belong here: what a definition
may say and what SQL it becomes (kpi_definitions/), files and exports (release/), questions of auditors (audit/).
"""
