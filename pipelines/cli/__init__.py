"""`qala`: deliver extracts, run months, ask for numbers. Thin: what it says comes from the packages below.

Belongs here: commands, their options, screens for a terminal. Does not belong here: anything a command finds out or does
(methods/, recovery/, and the packages below).
"""

from pipelines.cli import running, auditing, evidence, keys, lineage, reporting, publishing, methods, new, recovery, assistant  # noqa: F401, I001  each adds its commands, in the order of --help
from pipelines.cli.common import app

__all__ = ["app"]
