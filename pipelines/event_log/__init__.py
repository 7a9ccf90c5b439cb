"""Dagster's own event log, storing many events at once over connections that stay open: patched in, for the sake of long runs.

A run over a year stores an event for every asset, check and month, thousands of them. For each, Dagster 1.13 connects anew, several
times over. What a failure could cost is Dagster's history of runs, never the warehouse. Nothing else of Dagster is touched.
Belongs here: how events reach Dagster's store, by kind of store. Does not belong here: which events there are (`assets`), what is logged.
"""
