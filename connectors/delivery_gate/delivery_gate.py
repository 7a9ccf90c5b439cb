"""The second gate: Great Expectations judges deliveries by their profile, all pending ones of a table in one run.

The frame has a row per delivery and the suite an expectation per delivery rule, so a failing row is a failing delivery.
Importing Great Expectations takes seconds: that happens in the worker process (warehouse/isolation/worker.py), while Dagster is
imported here. Does not belong here: the profile (profile.py), rules that every table has by itself (earlier_deliveries.py,
declaration_checks.py, near_duplicates.py).
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from warehouse.isolation.worker import DEFAULT_SECONDS, call
from warehouse.loading.deliveries import Finding
from warehouse.messages.messages import Message, recorded
from warehouse.tables.contracts import Table
from warehouse.tables.rules import DUPLICATE, STRUCTURE, STRUCTURE_WORDS, Rule, measured, not_judged

if TYPE_CHECKING:
    import pandas as pd

# what Great Expectations imports for expectations about distributions: a quarter of its time, and 640 modules
_RARELY_USED = ("scipy.stats", "altair")


class _Later(ModuleType):
    """Stands for a module that has not been imported, until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # what anyone asks of every module there is
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def get_ready() -> None:
    """Import Great Expectations. For a process of its own, while there is time."""
    _profiles()


@cache
def _profiles() -> Any:
    """The batch definition that profiles are handed to, of an ephemeral context."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # a third of a million objects that stay: Python would look at them all in every full collection, for a third of a second
    collects = gc.isenabled()
    gc.disable()
    for name in _RARELY_USED:
        sys.modules.setdefault(name, _Later(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        logging.getLogger("great_expectations").setLevel(logging.ERROR)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        asset = context.data_sources.add_pandas("profiles").add_dataframe_asset("profiles")
        definition = asset.add_batch_definition_whole_dataframe("all")
    gc.collect()
    gc.freeze()
    if collects:
        gc.enable()
    return definition


def judge_deliveries(table: Table, profile: pd.DataFrame, broken: pd.DataFrame) -> list[Finding]:
    """Judge every delivery by every rule of its table."""
    if profile.empty:
        return []
    return [*_row_findings(table, profile, broken), *_delivery_findings(table.delivery_rules, profile, table.name)]


def _row_findings(table: Table, profile: pd.DataFrame, broken: pd.DataFrame) -> Iterable[Finding]:
    """Row rules were tried in the first gate; here their counts become findings: broken rows are a warning, as they were taken out.

    Cells that were left empty break their rule as rows do. Full duplicates break none: how many there are is told, and that is all.
    """
    counts = {(int(d), str(r)): (int(rows), int(cells)) for d, r, rows, cells in broken.itertuples(index=False)}
    import pandas as pd  # here, as whoever names a source's contract imports this module

    rules = [r for c in table.columns for r in c.rules]
    rules += [r for r in (*table.row_rules, *table.delivery_rules) if r.predicate is not None]
    for row in profile.to_dict("records"):
        delivery_id = int(row["delivery_id"])
        for rule in rules:
            rows, cells = counts.get((delivery_id, rule.id), (0, 0))
            if rule.severity == "warning":
                warned = row.get(f"warned__{rule.check_name}", 0)  # no number where no record was read
                rows, cells = (0 if pd.isna(warned) else int(warned)), 0
                what: Message = {"code": "finding.rows_in_doubt", "rows": rows}
            elif rule.id == DUPLICATE:
                what = {"code": "finding.full_duplicates", "rows": rows}
            else:
                what = _taken_out(rows, cells)
            count = rows + cells
            passed = count == 0 or rule.id == DUPLICATE
            found = recorded(what)
            yield Finding(delivery_id, rule.id, "warning", rule.dimension, passed, found, rule.expected, count)
        rows, cells = (sum(counts.get((delivery_id, r), (0, 0))[n] for r in ("encoding", "columns")) for n in (0, 1))
        yield Finding(
            delivery_id,
            STRUCTURE,
            "warning" if rows + cells else "error",
            "conformity",
            rows + cells == 0,
            recorded(_unreadable(rows, cells)),
            recorded(STRUCTURE_WORDS),
            rows + cells,
        )


def _taken_out(rows: int, cells: int) -> Message:
    """Rows or cells, or both: `3 rows rejected, 2 cells left empty`."""
    if not cells:
        return {"code": "finding.rows_rejected", "rows": rows}
    if not rows:
        return {"code": "finding.cells_emptied", "cells": cells}
    return {"code": "finding.rows_and_cells", "rows": rows, "cells": cells}


def _unreadable(rows: int, cells: int) -> Message:
    if not cells:
        return {"code": "finding.records_unreadable", "rows": rows}
    return {"code": "finding.records_and_cells_unreadable", "rows": rows, "cells": cells}


def verdicts(name: str, rules: Sequence[Rule], profile: pd.DataFrame) -> dict[str, set[int]]:
    """By rule, the deliveries that fail it. Raises RuntimeError if a rule gives no verdict."""
    found = _validate(name, rules, profile, "BOOLEAN_ONLY")
    # which deliveries fail takes twice as long to find out, so only rules are asked that not all meet
    doubtful = [rule for rule in rules if not found[rule.id].success or "mostly" in rule.kwargs]
    if doubtful:
        named = {"result_format": "COMPLETE", "unexpected_index_column_names": ["delivery_id"]}
        found |= _validate(name, doubtful, profile, named)
    failing: dict[str, set[int]] = {}
    for rule in rules:
        result = found[rule.id]
        failing[rule.id] = {int(i["delivery_id"]) for i in result.result.get("unexpected_index_list") or []}
        # an exception, which comes in several shapes, or no verdict on single deliveries
        if not result.success and not failing[rule.id]:
            raise RuntimeError(
                f"rule {name}.{rule.id} could not be judged: {result.exception_info or result.result}; mend it in the contract"
            )
    return failing


def _validate(name: str, rules: Iterable[Rule], profile: pd.DataFrame, result_format: Any) -> dict[str, Any]:
    """By rule, the result of a suite of these on the profile."""
    profiles = _profiles()
    import great_expectations as gx
    from great_expectations.expectations.registry import get_expectation_impl

    suite = gx.ExpectationSuite(name=f"{name}-deliveries")
    for rule in rules:
        # results come back in another order: the rule's id travels in `meta`
        suite.add_expectation(get_expectation_impl(str(rule.expectation))(**rule.kwargs, meta={"rule": rule.id}))
    outcome = profiles.get_batch({"dataframe": profile}).validate(suite, result_format=result_format)
    return {result.expectation_config.meta["rule"]: result for result in outcome.results}


def _delivery_findings(rules: Iterable[Rule], profile: pd.DataFrame, name: str) -> Iterable[Finding]:
    import pandas as pd

    wanted = [rule for rule in rules if rule.expectation]
    if not wanted:
        return
    failing = call("connectors.delivery_gate.delivery_gate:verdicts", name, wanted, profile, seconds=DEFAULT_SECONDS)
    for rule in wanted:
        measure = measure_of(rule.kwargs["column"])
        for delivery_id, observed in zip(profile["delivery_id"], profile[rule.kwargs["column"]], strict=True):
            yield Finding(
                int(delivery_id),
                rule.id,
                rule.severity,
                rule.dimension,
                int(delivery_id) not in failing[rule.id],
                not_judged(measure) if pd.isna(observed) else measured(measure, float(observed)),
                rule.expected,
            )


def measure_of(profiled: str) -> Message:
    """What a column of the profile is called: some are named after a column of the table."""
    name, _, column = profiled.partition("__")
    return {"code": f"measure.{name}"} | ({"column": column} if column else {})
