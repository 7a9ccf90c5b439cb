"""`qala catalogue new`: a list of initiatives with nothing in it yet, beside the others: its head, and rules of assessment without a scale."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from collections.abc import Iterator

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.model import Sphere
from pipelines.first_versions.writing import FirstVersion, FirstVersionError, comment, scalar, todo
from warehouse.home.home import Home

WORD = "new"  # of the command, so that no list can be called so
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")


def new_catalogue(home: Home, list_id: str, since: dt.date) -> FirstVersion:
    """An empty list of the home, in force from a day. Raises FirstVersionError, DocumentError."""
    if not _ID.fullmatch(list_id) or list_id == WORD:
        raise FirstVersionError(
            f"{list_id!r} is no name of a list: small Latin letters, digits and dashes, as official-2027"
        )
    lists = load_catalogues(home.catalogues).lists
    if any(one.head.id == list_id for one in lists):
        raise FirstVersionError(f"list {list_id} is there already; there are {', '.join(one.head.id for one in lists)}")
    folder = home.catalogues / list_id
    rules = f"{since.year}.1"
    texts = {
        folder / "catalogue.yaml": "".join(_head(list_id, since, lists[0].head.spheres)),
        folder / "assessment" / f"{rules}.yaml": "".join(_rules(rules, since.year)),
    }
    return FirstVersion(texts, tuple(_steps(home, list_id)))


def _head(list_id: str, since: dt.date, spheres: tuple[Sphere, ...]) -> Iterator[str]:
    yield comment(
        "What list this is and on what authority it stands. A code means one KPI in all lists, so initiatives here take codes that no other list has."
    )
    yield f"id: {list_id}\nversion: '1'\n"
    yield "name: {en: 'TODO: name of the list', ru: 'TODO: название перечня', kk: 'TODO: тізбенің атауы'}\n"
    yield "status: proposal  # TODO: official, if an act in force has approved it\n"
    yield "legal_basis: 'TODO: the act that approves the list, with its number and date'\n"
    yield f"valid_from: {since}  # periods that start on this day or later are computed by it\n"
    yield comment("languages whose labels no native speaker has checked")
    yield "unchecked_languages: [kk]\nspheres:  # item 5 of the order\n"
    for sphere in spheres:
        yield f"  - {{code: {sphere.code}, number: {sphere.number}, name: {scalar(sphere.name.model_dump(exclude_none=True))}}}\n"


def _rules(version: str, year: int) -> Iterator[str]:
    yield comment(
        "Rules of the annual assessment (items 7 and 9). The order's own formula is not public: these are the proposal's numbers. "
        "Never edit rules that were used: write the next version beside them."
    )
    doubt = "take these numbers over, or decide others; leave this word in until the list has its KPIs, as qala new kpi puts their scales in here"
    yield todo([doubt])
    yield f"version: {scalar(version)}\nvalid_from: {year}  # first year assessed by these rules\n"
    yield "change_note: First version.\n"
    yield "minimum_coverage: 0.6  # below it a settlement is shown as insufficient coverage and not ranked\n"
    yield "minimum_periods: 0.75  # share of a year's months or quarters that must have a value\n"
    yield "weight_change: 0.25  # places are tried with every weight changed by up to so much\n"
    yield "weights: {spheres: {}, initiatives: {}, kpis: {}}  # 1 where nothing is said\n"
    yield "scales: {}  # by KPI: the value that scores 0 (floor) and the one that scores 100 (goal)\n"


def _steps(home: Home, list_id: str) -> Iterator[tuple[str, str]]:
    place = "" if home == Home.default() else f" --home {shlex.quote(str(home.root))}"
    yield (
        str(home.catalogues / list_id / "catalogue.yaml"),
        "decide every TODO, and take the word out: until then no run computes anything",
    )
    yield (
        f"qala new kpi CODE --table TABLE --catalogue {list_id}{place}",
        "the first KPI, and each that follows; its initiative is written with it",
    )
    yield f"qala check{place}", "lists what is left"
    yield f"qala catalogue {list_id} qala-proposal{place}", "which of its KPIs mean the same as one of the proposal"
    yield f"qala diff{place}", "what the next run would compute by it, before it does"
