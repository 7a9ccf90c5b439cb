"""What a delivery asserts (adr/0020): by which column an extract is cut, and which kinds of extracts there are.

Does not belong here: which rows a delivery takes away (assertions_sql.py), and what is wrong with a single delivery
(connectors/delivery_gate/declaration_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from kpi_definitions.documents import Document, Fault

if TYPE_CHECKING:
    pass


class Asserts(StrEnum):
    """Kinds of extracts, by what a delivery of them asserts."""

    COMPLETE = "complete"  # all rows of its system, territory and days
    CHANGES = "changes"  # rows that are new or changed; nothing about others
    SNAPSHOT = "snapshot"  # a whole register as it stood at the period's end
    AS_OF = "as_of"  # figures of a day: from after the period's first day to the first day after it


@dataclass(frozen=True)
class Cut:
    """How an extract is cut out of its system: kind, the date column, and whether rows of earlier days come again when they changed."""

    kind: Asserts = Asserts.COMPLETE
    by: str | None = None
    earlier: bool = False


def cut_of(
    settings: Mapping[str, Any], default: Cut, dated: Mapping[str, bool], document: Document
) -> Iterator[Cut | Fault]:
    """The cut a contract declares by `delivery`, `cutBy` and `earlierRows`, or what is wrong with it.

    `dated`: the table's date and time columns, and whether each must be filled.
    """
    where = ("customProperties",)
    known = ", ".join(Asserts)
    kind, by, earlier = (
        settings.get("delivery", default.kind),
        settings.get("cutBy", default.by),
        settings.get("earlierRows"),
    )
    if kind not in list(Asserts) or (kind == Asserts.SNAPSHOT) != (default.kind == Asserts.SNAPSHOT):
        yield document.fault(
            where,
            f"delivery {kind!r} is not possible here",
            f"write one of {known}; a table is a snapshot for all its sources or for none",
        )
        return
    if by is not None and not dated.get(by):
        yield document.fault(
            where,
            f"cutBy {by!r} is no date column that must be filled",
            f"there are {', '.join(c for c, must in dated.items() if must) or 'none'}",
        )
        return
    if earlier not in (None, "rejected", "changed"):
        yield document.fault(
            where,
            f"earlierRows {earlier!r} is not known",
            "write changed, if rows of earlier days come again when they changed, or rejected",
        )
        return
    yield Cut(Asserts(kind), by, default.earlier if earlier is None else earlier == "changed")
