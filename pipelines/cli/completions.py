"""What a shell offers when Tab is pressed after a KPI, a settlement or a table: what begins like what was typed, with what it is called.

Typer asks for it (`qala --install-completion`); whatever goes wrong, nothing is offered. Does not belong here: names of commands and options,
which typer knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import typer

from warehouse.home.home import Home


def kpi_codes(context: typer.Context, incomplete: str) -> list[str]:
    """Codes of KPIs of the catalogues that come with qala and those of the home."""
    from kpi_definitions.documents import DocumentError
    from kpi_definitions.listed import listed

    with suppress(DocumentError, OSError):
        codes = listed(_home(context).catalogues).codes
        return [_as_typed(code, incomplete) for code in codes if code.startswith(incomplete.upper())]
    return []


def settlement_names(incomplete: str) -> list[tuple[str, str]]:
    """Names and codes of settlements: as they are written in any of the three languages, beside each its code or its English name."""
    from warehouse.tables.settlements import folded, registered

    def beginning() -> Iterator[tuple[str, str]]:
        for kato, names in registered():
            if incomplete and kato.startswith(incomplete):
                yield kato, names[0]
            written = dict.fromkeys(name for name in (names if incomplete else names[:1]) if name)
            yield from ((_as_typed(n, incomplete), kato) for n in written if folded(n).startswith(folded(incomplete)))

    return list(dict(beginning()).items())


def table_names(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Showcase tables of the home, with their titles."""
    from kpi_definitions.documents import DocumentError
    from warehouse.tables.home_tables import tables_of

    with suppress(DocumentError, OSError):
        return [(name, one.title) for name, one in tables_of(_home(context)).items() if name.startswith(incomplete)]
    return []


def _as_typed(name: str, incomplete: str) -> str:
    """A name that goes on from what was typed, whatever its letters: a shell takes no other, and commands take any."""
    return incomplete + name[len(incomplete) :]


def _home(context: typer.Context) -> Home:
    given = context.params.get("home_folder")
    return Home(Path(given).resolve()) if given else Home.default()
