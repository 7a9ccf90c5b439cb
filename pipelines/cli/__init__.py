"""`qala`: deliver extracts, run months, ask for numbers. Thin: what it says comes from the packages below.

Belongs here: commands, their options, screens for a terminal. Does not belong here: anything a command finds out or does
(methods/, recovery/, and the packages below).
"""

from importlib import import_module

from pipelines.cli.common import app

# each adds its commands, in the order of --help
for _name in (
    "running",
    "sources",
    "status",
    "refusals",
    "trying",
    "ui",
    "auditing",
    "reconciling",
    "evidence",
    "keys",
    "lineage",
    "metrics",
    "reporting",
    "publishing",
    "methods",
    "new",
    "recovery",
    "engine",
    "assistant",
):
    import_module(f"{__name__}.{_name}")

__all__ = ["app"]
