"""The sensor that has Dagster's daemon tell people what is wrong, also while a run is going on. Does not belong here: what it tells (one_pass.py)."""

import dagster as dg

from pipelines.notifications.one_pass import tell
from pipelines.notifications.outbox import NotifyingError
from pipelines.notifications.settings import FILE, read_notifications
from pipelines.resources import Qala


@dg.sensor(
    name="notifications",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the channels of notifications.yaml what is wrong in this home and was not told; without that file, nobody.",
)
def notifications_sensor(context: dg.SensorEvaluationContext, qala: Qala) -> dg.SkipReason:
    """It starts no run."""
    settings = read_notifications(qala.home)
    if settings is None:
        return dg.SkipReason(f"the home has no {FILE}: nobody is told")
    try:
        passed = tell(qala.home, settings, context.instance)
    except NotifyingError as error:
        return dg.SkipReason(str(error))
    for channel, said in passed.failed:
        context.log.warning(f"{channel}: not taken: {said}")
    return dg.SkipReason(passed.said)
