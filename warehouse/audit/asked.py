"""What is asked for on a command line, as words: which KPI, and whether KPI, settlement and period stand in their order.

Does not belong here: which settlement or area (explain.py, tables/settlements.py), which period (periods.py).
"""

from __future__ import annotations

from collections.abc import Collection

from kpi_definitions.codes import UnknownCodeError, find_code
from kpi_definitions.nearest import same
from warehouse.periods import parse_period
from warehouse.store.store import Store

LEVEL_WORDS = ("LEVEL", "PLACE")  # what is asked for in the place of a KPI's code


def asked_kpi(store: Store, text: str, codes: Collection[str] | None = None) -> str:
    """The code of a KPI that a text names, of those that are defined: `codes`, else all that the release knows.

    Raises UnknownCodeError: it is near others, or no list defines it any more.
    """
    if codes is not None and text in codes:
        return text
    known = _names(store)
    names = known if codes is None else {code: known.get(code, ()) for code in codes}
    try:
        return find_code(text, names, LEVEL_WORDS)
    except UnknownCodeError:
        if (gone := same(text, known)) is None:
            raise
        last = store.con.execute("SELECT max(definition_version) FROM registry.kpi WHERE kpi_code = ?", [gone])
        (version,) = last.fetchall()[0]
        raise UnknownCodeError(
            f"{gone} is defined by no list any more (its last version was {version}); what was published of it stays in the release: "
            f"FROM kpi.value WHERE kpi_code = '{gone}'"
        ) from None


def in_order(store: Store, asked: tuple[str, str, str], codes: Collection[str]) -> tuple[str, str, str]:
    """(KPI, settlement, period) of three words of which one is a code and one a period: the order in which they should stand."""
    if asked[0] in codes and _is_period(asked[2]):
        return asked
    known = {*codes, *LEVEL_WORDS, *_names(store)}
    of_kpi = [text for text in asked if same(text, known)]
    of_time = [text for text in asked if _is_period(text)]
    places = [text for text in asked if text not in (*of_kpi, *of_time)]
    if len(of_kpi) == len(of_time) == len(places) == 1:
        return of_kpi[0], places[0], of_time[0]
    return asked


def typed(words: tuple[str, ...]) -> str:
    """Words as they are typed, those with a space in quotes."""
    return " ".join(word if len(word.split()) == 1 else f"'{word}'" for word in words)


def _is_period(text: str) -> bool:
    try:
        parse_period(text)
    except ValueError:
        return False
    return True


def _names(store: Store) -> dict[str, tuple[str, ...]]:
    """Code → names of every KPI that the release knows, of its newest version."""
    query = "SELECT kpi_code, name_en, name_ru, name_kk FROM registry.kpi ORDER BY definition_version"
    return {code: tuple(name for name in names if name) for code, *names in store.con.execute(query).fetchall()}
