"""`qala`: deliver extracts, run months, ask for numbers. Thin: what it says comes from the packages below.

Belongs here: commands, their options, screens for a terminal; which module has which command stands in table.py. Does not belong here:
anything a command finds out or does (methods/, recovery/, and the packages below).
"""

from pipelines.cli.common import app

__all__ = ["app"]
