"""Commands that say how things stand: the released warehouse, what waits, the settlements there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, LanguageOption, app, fail, home_of, out, print_json, words_of
from warehouse.errors import StoreError
from warehouse.home.home import Home

if TYPE_CHECKING:
    from pipelines.cli.screens.common import Words


@app.command()
def status(language: LanguageOption = "", as_json: JsonOption = False, home_folder: HomeOption = None) -> None:
    """How the released warehouse stands, and what waits."""
    from concurrent.futures import ThreadPoolExecutor

    from connectors.archive.archive import Archive
    from pipelines.cli.screens.common import Words
    from pipelines.cli.screens.status import show_status
    from warehouse.audit.status import release_status
    from warehouse.store.sessions import reading

    home = home_of(home_folder)

    def of_release() -> tuple[dict[str, Any], Words]:
        with reading(home, with_views=False) as store:
            return release_status(store), words_of(store, language)

    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(of_release)  # while the warehouse is
        still, told = _still_due(home)
        waiting = len(Archive(home.archive).pending())
    overdue = _overdue(home)  # opens the release too: once it is closed
    try:
        released, words = asked.result()
        answer = {**released, "waiting": waiting, **still, "overdue": overdue, "home": str(home.root)}
    except StoreError as error:
        if as_json:
            print_json(
                {
                    "latest_period": None,
                    "deliveries": {},
                    "refusals_standing": 0,
                    "values": {},
                    "waiting": waiting,
                    **still,
                    "overdue": overdue,
                    "release": None,
                    "home": str(home.root),
                }
            )
            return
        out.print(f"{waiting} extracts wait", highlight=False)
        _say_due(still, told, Words(language))
        _say_overdue(overdue, Words(language))
        raise fail(error) from None
    if as_json:
        print_json(answer)
    else:
        show_status(out, answer, words)
        _say_due(still, told, words)
        _say_overdue(overdue, words)


def _overdue(home: Home) -> list[dict[str, Any]]:
    """Of each source with overdue extracts, how many, and the most days. Files at fault are told by `qala check`."""
    if not home.sources.is_dir():
        return []
    from pipelines.source_pulls import sources_of

    try:
        found = sources_of(home)
    except (DocumentError, StoreError):  # told with what is due
        return []
    days: dict[str, list[int]] = {}
    for one in found.standings():
        if late := one.standing.days_late(found.setting.today):
            days.setdefault(one.source, []).append(late)
    return [{"source": name, "extracts": len(late), "days": max(late)} for name, late in days.items()]


def _say_overdue(overdue: list[dict[str, Any]], words: Words) -> None:
    for one in overdue:
        out.print(words("overdue_extracts", **one), highlight=False, soft_wrap=True)


def _still_due(home: Home) -> tuple[dict[str, list[str] | None], str]:
    """Months that were loaded, or whose definitions are new, and not computed since, and those computed and not released; or why it cannot be told."""
    from kpi_definitions.listed import listed
    from warehouse.kpi_values.outstanding import due_home

    try:
        found = due_home(home, listed(home.catalogues))
    except (DocumentError, StoreError) as error:
        return {"loaded_not_computed": None, "computed_not_released": None}, str(error)
    return {"loaded_not_computed": list(found.uncomputed), "computed_not_released": list(found.unreleased)}, ""


def _say_due(still: dict[str, list[str] | None], told: str, words: Words) -> None:
    if told:
        out.print(f"loaded, not computed: cannot be told ({told})", highlight=False, soft_wrap=True)
    for name, months in still.items():
        if months:
            out.print(words(name, months=months), highlight=False, soft_wrap=True)


@app.command()
def settlements(language: LanguageOption = "") -> None:
    """The settlements of item 7 with their KATO codes."""
    from warehouse.tables.settlements import settlements as ask

    for kato, name in ask(language).items():
        out.print(f"{kato}  {name}", highlight=False)
