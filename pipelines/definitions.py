"""What Dagster loads: the whole way from pending extracts to the release.

Great Expectations is not imported here: that takes seconds, and happens in the process that judges (connectors/delivery_gate/delivery_gate.py).
"""

import dagster as dg

from connectors.ingest import load_source_contracts
from kpi_definitions.catalogue import load_catalogues
from pipelines.assets.assessment import assessment_asset
from pipelines.assets.kpi import kpi_assets
from pipelines.assets.publications import publications
from pipelines.assets.release import release
from pipelines.assets.report import report
from pipelines.assets.showcase import showcase_asset
from pipelines.assets.zero import zero_assets
from pipelines.automation import after_release, inbox_sensor, job, monthly_schedule, publications_job
from pipelines.resources import NO_SPHERE, Qala, groups
from warehouse.home.file_modes import private
from warehouse.home.home import Home
from warehouse.tables.home_tables import tables_of


def build_defs(home: Home) -> dg.Definitions:
    """Assets, checks, jobs, schedule and sensors of one installation, by its contracts and catalogues."""
    tables, catalogue = tables_of(home), load_catalogues(home.catalogues)
    group_of = groups(catalogue)
    return dg.Definitions(
        assets=[
            zero_assets(tables.values(), load_source_contracts(home, tables), group_of),
            *(showcase_asset(table, group_of.get(table.domain, NO_SPHERE)) for table in tables.values()),
            kpi_assets(catalogue, tables),
            assessment_asset(catalogue),
            release,
            report,
            publications,
        ],
        jobs=[job, publications_job],
        schedules=[monthly_schedule],
        sensors=[inbox_sensor, after_release],
        resources={"qala": Qala(home_folder=str(home.root))},
        # one process writes the DuckDB file: 13 s in process, 132 s with a process per step and a pool of one
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `workspace.yaml` names: the installation of QALA_HOME, read when Dagster asks and not when this is imported."""
    private()  # a code location has no command line that would have set the umask
    return build_defs(Home.default())
