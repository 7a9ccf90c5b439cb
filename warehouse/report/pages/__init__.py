"""What pages show: a module for each kind, with `pages(release, language)` giving its pages.

Belongs here: which figures of a release a page shows, and in what order. Does not belong here: markup (templates/), words
(messages/catalogue/report.yaml), reading what several kinds need (release_data.py).
"""

from collections.abc import Callable, Iterator, Sequence

from warehouse.report.page import Page
from warehouse.report.pages import audit, compare, country, kpi, lists, quality, settlement, systems
from warehouse.report.release_data import ReleaseData

KINDS: Sequence[Callable[[ReleaseData, str], Iterator[Page]]] = (
    country.pages,
    lists.pages,
    settlement.pages,
    kpi.pages,
    compare.pages,
    quality.pages,
    systems.pages,
    audit.pages,
)
# data files that a page's script asks for: (name in data/, text)
FILES: Sequence[Callable[[ReleaseData], Iterator[tuple[str, str]]]] = (compare.files,)
