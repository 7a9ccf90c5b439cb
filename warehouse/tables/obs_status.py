"""The calculation states of values: codes of the SDMX list CL_OBS_STATUS, and what each means for whoever uses a value.

Does not belong here: when a cell gets which (kpi_values/state_rules.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class ObsStatus(StrEnum):
    """One calculation state. Estimated, forecast and imputed values (E, F, I) do not exist (item 12(4))."""

    CALCULATED = "A"
    PROVISIONAL = "P"
    LOW_COVERAGE = "U"
    SERIES_BREAK = "B"  # roll-ups only
    NOT_DELIVERED = "L"
    NOT_CALCULABLE = "O"
    NOT_APPLICABLE = "M"
    SUPPRESSED = "Q"

    @property
    def state(self) -> str:
        """The state's name, as published beside the code."""
        return _STATES[self]

    @property
    def has_value(self) -> bool:
        """Whether a value is published; the others have none, and a reason."""
        return self in (self.CALCULATED, self.PROVISIONAL, self.LOW_COVERAGE, self.SERIES_BREAK)

    @property
    def has_parts(self) -> bool:
        """Whether numerator and denominator are known, so that sums take them in: of a suppressed value they are."""
        return self.has_value or self is self.SUPPRESSED

    @property
    def parts_are_public(self) -> bool:
        """Whether numerator, denominator and sample may be shown: those of a suppressed value would give it away."""
        return self is not self.SUPPRESSED

    @property
    def applies(self) -> bool:
        """Whether the KPI applies to the settlement and period at all."""
        return self is not self.NOT_APPLICABLE

    @property
    def is_assessed(self) -> bool:
        """Whether an assessment takes the KPI in: one without a value lowers the coverage, one that does not apply is left out."""
        return self.applies and self is not self.SUPPRESSED


_STATES = {
    ObsStatus.CALCULATED: "calculated",
    ObsStatus.PROVISIONAL: "provisional",
    ObsStatus.LOW_COVERAGE: "low coverage",
    ObsStatus.SERIES_BREAK: "series break",
    ObsStatus.NOT_DELIVERED: "not calculable",
    ObsStatus.NOT_CALCULABLE: "not calculable",
    ObsStatus.NOT_APPLICABLE: "not applicable",
    ObsStatus.SUPPRESSED: "suppressed",
}
WITH_VALUE = tuple(status for status in ObsStatus if status.has_value)
WITH_PARTS = tuple(status for status in ObsStatus if status.has_parts)
NOT_ASSESSED = tuple(status for status in ObsStatus if not status.is_assessed)


def in_sql(statuses: Iterable[ObsStatus]) -> str:
    """The codes as an SQL list: ('A', 'P')."""
    return "(" + ", ".join(f"'{status}'" for status in statuses) + ")"
