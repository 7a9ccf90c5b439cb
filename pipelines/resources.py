"""The one Dagster resource: the home, its open warehouse, tables, catalogues, source contracts. Progress too.

Does not belong here: what a step does with them (assets/), which months there are (months.py).
"""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from connectors.archive.archive import Archive
from connectors.ingest import load_source_contracts
from connectors.mapping.source_contract import SourceContract
from kpi_definitions.catalogue import Catalogues, load_catalogues
from pipelines import structured_logs
from pipelines.event_log import patching
from warehouse.home.home import Home
from warehouse.store.sessions import writing
from warehouse.store.store import Store
from warehouse.tables.contracts import Table
from warehouse.tables.home_tables import tables_of

# one warning for every asset, and nothing a user could do about it; tests/pipelines/test_dagster.py notices if single runs cease to work
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")
# the same of links to documents and of checks by month: held by tests/pipelines/test_dagster.py and test_event_log.py for the version in the lock
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*Code(Reference|ReferencesMetadataValue)` .*")
# Dagster's own, when it looks up the jobs of a sensor that has several
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*owners.*SensorDefinition.*")
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*partitions_def on an AssetCheckSpec.*")

NO_SPHERE = "no_sphere"  # group of a home's table whose contract names a sphere that no list has: told before anything is computed
POOL = "warehouse"  # limited to one by dagster.yaml: runs take turns at the file
single_run = dg.BackfillPolicy.single_run()  # a year is filled by one run: what a run costs is start-up
patching.patch()
structured_logs.patch()
progress_listeners: list[Callable[[str], None]] = []  # the command line shows progress through this


class Qala(dg.ConfigurableResource[None]):
    """Home folder of the installation; empty: the environment variable QALA_HOME, or ./qala-home."""

    home_folder: str = ""
    _open: ExitStack = PrivateAttr(default_factory=ExitStack)
    _store: Store | None = PrivateAttr(default=None)

    @contextmanager
    def writing(self, run_id: str) -> Iterator[Store]:
        """The warehouse, left open for the run's next step: opening and closing costs 0.13 s per table.

        Before another process of the run opens it, `close_warehouse` must be called; the end of the run calls it too.
        """
        if self._store is None:
            self._store = self._open.enter_context(writing(self.home, run_id))
        try:
            yield self._store
        except BaseException:
            self.close_warehouse()
            raise

    def close_warehouse(self) -> None:
        """Close the warehouse, if a step left it open."""
        self._store = None
        self._open.close()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        self.close_warehouse()

    @property
    def home(self) -> Home:
        return Home(Path(self.home_folder).resolve()) if self.home_folder else Home.default()

    @property
    def archive(self) -> Archive:
        return Archive(self.home.archive)

    @property
    def tables(self) -> dict[str, Table]:
        return tables_of(self.home)

    @property
    def catalogues(self) -> Catalogues:
        return load_catalogues(self.home.catalogues)

    @property
    def sources(self) -> dict[tuple[str, str], SourceContract]:
        return load_source_contracts(self.home, self.tables)


def groups(catalogue: Catalogues) -> dict[str, str]:
    """Asset group of every sphere, by the sphere's code: 1_city_management, ..."""
    spheres = {s.code: s for one in catalogue.lists for s in one.head.spheres}
    return {code: f"{s.number}_" + re.sub(r"\W+", "_", s.name.en.lower()) for code, s in spheres.items()}


def report_progress(context: dg.AssetExecutionContext, text: str, **known: object) -> None:
    """Report progress in the run's log and to the listeners; `known`: table, delivery_id and the like, for logs in JSON."""
    context.log.info(text, extra={structured_logs.OURS: known})
    for listener in () if structured_logs.as_json() else progress_listeners:  # then the log has said it
        listener(text)
