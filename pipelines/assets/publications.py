"""publications: the released figures as other systems load them."""

import dagster as dg

from pipelines.error_messages import known_errors_as_failure
from pipelines.resources import Qala, report_progress
from warehouse.publications.publications import Settings, publish_figures


@dg.asset(
    description="The released figures as other systems load them: SDMX structures and data, Open SDG, JSON-stat, Frictionless, CSVW, DCAT-AP. "
    "Public figures only, written from the released file alone.",
    deps=[dg.AssetKey(["release"])],
    group_name="publications",
    kinds={"csv", "json", "xml"},
    owners=["team:analytics"],
)
@known_errors_as_failure
def publications(context: dg.AssetExecutionContext, qala: Qala) -> dg.MaterializeResult[None]:
    """Write every format anew and put the folder in place."""
    settings = Settings.given()
    done = publish_figures(qala.home, settings.folder(qala.home), settings)
    without = f"; left out, because their library is not installed: {', '.join(done.left_out)}" if done.left_out else ""
    report_progress(
        context,
        f"publications of release {done.released_seq}: {done.observations:,} observations in {done.files} files{without}",
    )
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(done.folder)),
            "ledger sequence": done.seq,
            "agency": settings.agency,
            "dagster/row_count": done.observations,
            "files": done.files,
            "bytes": done.bytes,
            "left out": ", ".join(done.left_out) or "nothing",
        }
    )
