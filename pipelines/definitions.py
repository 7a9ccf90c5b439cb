"""What Dagster loads: the whole way from pending extracts to the release.

Great Expectations is not imported here: that takes seconds, and happens in the process that judges (connectors/delivery_gate/delivery_gate.py).
"""

import logging

import dagster as dg

from connectors.ingest import load_source_contracts
from kpi_definitions.catalogue import load_catalogues
from pipelines.assets.assessment import assessment_asset
from pipelines.assets.kpi import kpi_assets
from pipelines.assets.publications import publications
from pipelines.assets.release import release
from pipelines.assets.report import report
from pipelines.assets.showcase import showcase_asset
from pipelines.assets.source import source_assets, source_job, source_keys
from pipelines.assets.zero import zero_assets
from pipelines.automation import after_release, earlier_months, inbox_sensor, job, monthly_schedule, publications_job
from pipelines.months import first_month, months_from
from pipelines.notifications.sensor import notifications_sensor
from pipelines.quarterly import countable, quarterly_schedule, reconciliation
from pipelines.resources import NO_SPHERE, Qala, groups
from pipelines.source_pulls import sound_connections
from warehouse.home.file_modes import private
from warehouse.home.home import Home
from warehouse.tables.home_tables import tables_of


def build_defs(home: Home, first: str | None = None) -> dg.Definitions:
    """Assets, checks, jobs, schedule and sensors of one installation, by its contracts and catalogues.

    `first`: the month with which the partitions begin; None: the first delivered one.
    """
    months = months_from(first or first_month(home))
    tables, catalogue = tables_of(home), load_catalogues(home.catalogues)
    group_of, contracts = groups(catalogue), load_source_contracts(home, tables)
    connections, faults = sound_connections(home, tables, contracts)
    for fault in faults:  # one source's file is no reason to stop all else; qala check tells it too
        logging.getLogger(__name__).error("%s", fault)
    quarterly = bool(countable(connections))
    pulls = [source_job(connected) for connected in connections.values()]
    return dg.Definitions(
        assets=[
            *(source_assets(connected, tables) for connected in connections.values()),
            zero_assets(tables.values(), contracts, group_of, source_keys(connections), months),
            *(showcase_asset(table, group_of.get(table.domain, NO_SPHERE), months) for table in tables.values()),
            kpi_assets(catalogue, tables, months),
            assessment_asset(catalogue, months),
            release,
            report,
            publications,
        ],
        jobs=[
            job,
            publications_job,
            earlier_months,
            *([reconciliation] if quarterly else []),
            *(one for one, _ in pulls),
        ],
        schedules=[monthly_schedule, *([quarterly_schedule] if quarterly else []), *(one for _, one in pulls)],
        sensors=[inbox_sensor, after_release, notifications_sensor],
        resources={"qala": Qala(home_folder=str(home.root))},
        # one process writes the DuckDB file: 13 s in process, 132 s with a process per step and a pool of one
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` names: the installation of QALA_HOME, read when Dagster asks and not when this is imported."""
    private()  # a code location has no command line that would have set the umask
    return build_defs(Home.default())
