"""What pages show: a module for each kind, with `pages(release, language)` giving its pages.

Belongs here: which figures of a release a page shows, and in what order. Does not belong here: markup (templates/), words
(messages/catalogue/report.yaml), reading what several kinds need (release_data.py).
"""

from collections.abc import Callable, Iterator, Sequence

from warehouse.report.page import Page
from warehouse.report.pages import country, kpi, lists, settlement
from warehouse.report.release_data import ReleaseData

KINDS: Sequence[Callable[[ReleaseData, str], Iterator[Page]]] = (country.pages, lists.pages, settlement.pages, kpi.pages)
