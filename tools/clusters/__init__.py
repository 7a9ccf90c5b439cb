"""Clusters on one machine, for tests and for whoever wants to try: each module starts and stops one kind, as processes on loopback.

    python -m tools.clusters clickhouse up FOLDER      two ClickHouse servers; prints the engine.yaml to use them
    python -m tools.clusters clickhouse down FOLDER    stops them; the folder stays

What is started lives in FOLDER alone: configuration, data, logs, and the processes' ids. Servers on 127.0.0.1 with passwords that are written
there in plain text are for trying out, not for a country.
Does not belong here: how qala talks to them (warehouse/engines).
"""
