"""report: the release as pages that anybody opens."""

import dagster as dg

from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import Qala, report_progress
from warehouse.report.site import write_report


@dg.asset(
    description="The release as plain pages in Kazakh, Russian and English that open from a folder: country, settlements, KPIs, comparison, data "
    "quality, systems, audit, and from every number the way to its files. Public figures only, written from the released file alone.",
    deps=[dg.AssetKey(["release"])],
    group_name="publications",
    kinds={"html", "svg"},
    owners=["team:analytics"],
)
@known_errors_as_failure
def report(context: dg.AssetExecutionContext, qala: Qala) -> dg.MaterializeResult[None]:
    """Write every page anew and put the folder in place."""
    done = write_report(qala.home.released_file, qala.home.report)
    report_progress(context, f"report of release {done.seq}: {done.pages:,} pages, open {done.start}")
    return dg.MaterializeResult(
        metadata={
            "start": dg.MetadataValue.path(str(done.start)),
            "ledger sequence": done.seq,
            "pages": done.pages,
            "bytes": done.bytes,
        }
    )
