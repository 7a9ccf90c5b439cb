"""How a home stands, in numbers that a monitoring system reads: `qala metrics`.

Belongs here: which metrics there are (metrics.yaml, described.py), measuring them (of_release.py, of_home.py, of_sources.py, of_runs.py), putting them
together and keeping them (collecting.py), serving them (endpoint.py). Nothing here opens the warehouse that runs write: a scrape waits for no run,
and no run for a scrape. Does not belong here: answers for people (cli/, warehouse/audit/), alerts (deploy/prometheus/).
"""
