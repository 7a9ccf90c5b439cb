"""What the columns of the views hold, from view_columns.yaml: one comment a name, as a name means the same thing in every view.

Does not belong here: the views themselves (views.py), columns of tables (system_tables.py, contracts).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kpi_definitions.documents import loaded
from kpi_definitions.kept import kept
from warehouse.messages.messages import LANGUAGES

FILE = Path(__file__).parent / "view_columns.yaml"


@cache
def described() -> Mapping[str, Any]:
    """The file: `public`, names of views; `languages`, their names; `columns`, name → comment; `views`, by view those that mean something else there."""
    found: Mapping[str, Any] = kept("view_columns", [FILE], lambda: loaded(FILE.read_text(encoding="utf-8")))
    return found


def comment_key(view: str, column: str) -> tuple[str, str | None]:
    """(name under which a column is described, language of its text or None). Raises KeyError for one that is not described."""
    known = {**described()["columns"], **described()["views"].get(view, {})}
    name, _, language = column.rpartition("_")
    if language not in LANGUAGES:
        return (column, None) if column in known else _undescribed(view, column)
    keys = [key for key in (f"{name}_name", name) if key in known]
    return (keys[0], language) if keys else _undescribed(view, column)


def column_comment(view: str, column: str) -> str:
    """What a column of a view holds, in English. Raises KeyError for one that is not described."""
    key, language = comment_key(view, column)
    said = comment_of(view, key)
    return f"{said} ({described()['languages'][language]})" if language else said


def comment_of(view: str, key: str) -> str:
    """What is described under a name, without its language."""
    return str(described()["views"].get(view, {}).get(key) or described()["columns"][key])


def _undescribed(view: str, column: str) -> tuple[str, None]:
    raise KeyError(f"{FILE.name} does not describe {column} of the view {view}")
