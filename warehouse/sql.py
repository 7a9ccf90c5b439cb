"""SQL as text: names and values quoted, and statements read from the `sql/` folder beside the module that runs them.

Does not belong here: SQL of the compiler (kpi_definitions/compiler.py), and running anything.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

_PART = re.compile(r"\$\{(\w+)\}")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A Python value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def statement(module_file: str, name: str, **parts: str) -> str:
    """The statement in `sql/<name>.sql` beside a module (its `__file__`), each `${part}` replaced by SQL text.

    Values come as `literal(...)`. Raises KeyError for a part that is not given, and for one that the statement does not have.
    """
    text = _read(Path(module_file).parent / "sql" / f"{name}.sql")
    named = set(_PART.findall(text))
    if unused := set(parts) - named:
        raise KeyError(f"{name}.sql has no {', '.join(sorted(unused))}")
    return _PART.sub(lambda found: parts[found[1]], text) if named else text


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
