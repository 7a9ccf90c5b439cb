"""Pages of an answer in JSON: what one says of itself, where the next one is, and whether the last one was seen.

Every style of paging has its own sign of the end; without it the rows are not whole, and nothing of them counts. Pages are read as a stream:
memory does not grow with them. Does not belong here: asking for them (http.py, http_line.py), what rows mean (readers/json_rows.py).
"""

from __future__ import annotations

import hashlib
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urljoin

from pydantic import AfterValidator, Field, model_validator

from connectors.sources.settings import Strict, refused
from connectors.sources.source import SourceError

_MOST_PAGES = 100_000
_SCALARS = ("string", "number", "boolean", "null")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?)?")
_WHOLE = re.compile(r"-?\d+")


def _path(text: str) -> str:
    if not all(text.split(".")) and text:
        raise refused("is no path", "write names with dots between them: data.rows; left out, it is the answer itself")
    return text


JsonPath = Annotated[str, AfterValidator(_path)]


class Paging(Strict):
    """How an answer goes on."""

    style: Literal["page", "offset", "cursor", "link", "next"] = Field(
        description="page: pages are numbered; offset: rows are; cursor: each page has the word for the next; "
        "link: its address is in the header Link; next: its address is in the page"
    )
    parameter: str | None = Field(
        default=None, description="Of page, offset or cursor; left out: it is called as the style"
    )
    first: int = Field(default=1, ge=0, le=1, strict=True, description="Number of the first page")
    size: int | None = Field(default=None, ge=1, strict=True, description="Rows of a page; with offset needed")
    size_parameter: str | None = Field(
        default=None, description="The parameter that says the size; left out: it is not sent"
    )
    next: JsonPath | None = Field(default=None, description="With cursor and next: where in the page that is")
    last: Literal["null", "absent"] = Field(
        default="null",
        description="With cursor and next, how the last page is known: it is null there, or not there at all",
    )
    total: JsonPath | None = Field(default=None, description="Where in the page the number of all rows is")
    pages: JsonPath | None = Field(default=None, description="Or the number of all pages")
    more: JsonPath | None = Field(
        default=None, description="Or true where there is a further page, and false where there is none"
    )
    total_header: str | None = Field(default=None, description="Or the header that says it")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.style in ("cursor", "next") and not self.next:
            raise refused(f"{self.style} without next", "say where in a page it is: next: meta.next")
        if self.style == "offset" and self.size is None:
            raise refused("offset without size", "say how many rows a page has: size: 100")
        if sum(one is not None for one in (self.total, self.total_header, self.pages, self.more)) > 1:
            raise refused("total, total_header, pages and more: several are named", "name one of them")
        if self.style not in ("page", "offset") and (self.pages or self.more):
            raise refused(f"pages and more say nothing of {self.style}", "take them out")
        return self


@dataclass(frozen=True)
class Page:
    """What a page says. `next`: the word or address there, None where it is null; `has_next`: whether it says any."""

    rows: int
    digest: str
    newest: str | None
    oldest: str | None
    total: int | None  # of rows, or of pages where these are counted
    more: bool | None
    next: str | None
    has_next: bool


@dataclass
class Walk:
    """From page to page, until the end was seen. Each step raises SourceError if the rows cannot be whole."""

    source: str
    paging: Paging
    rows: int = 0
    total: int | None = None
    pages: int = 0
    _seen: set[str] = field(default_factory=set)
    _short: bool = False

    def first(self) -> Mapping[str, str]:
        """Parameters of the first request."""
        start = {"page": str(self.paging.first), "offset": "0"}.get(self.paging.style)
        return self._parameters(start)

    def following(
        self, page: Page, address: str, links: Mapping[str, str]
    ) -> tuple[str | None, Mapping[str, str]] | None:
        """(address, parameters) of the request after a page that came from `address`; an address is whole; None: this was the last."""
        self._take(page)
        style = self.paging.style
        if style in ("page", "offset"):
            more = self._more(page)
            after = str(self.rows if style == "offset" else self.paging.first + self.pages)
        else:
            if style != "link" and not page.has_next and self.paging.last == "null":
                raise self._fails(
                    "next",
                    f"page {self.pages} has no {self.paging.next}",
                    "is it named right? if the last page has none: last: absent",
                )
            after = links.get("next", "") if style == "link" else page.next or ""
            more = bool(after)
        if not more:
            self._end()
            return None
        if page.rows == 0:
            raise self._fails(
                "end", f"page {self.pages} is empty, and more were to come", "ask who runs the server", passing=True
            )
        if style in ("page", "offset", "cursor"):
            self._once(f"word {after}", f"page {self.pages} leads to one that was read before")
            return None, self._parameters(after)
        whole = urljoin(address, after)
        self._once(f"address {whole}", f"page {self.pages} leads to one that was read before")
        return whole, {}

    def _more(self, page: Page) -> bool:
        """Whether numbered pages go on, by the sign that is declared; without one, by a page that is not empty."""
        if page.more is not None:
            return page.more
        if self.total is None:
            return page.rows > 0
        return self.pages < self.total if self.paging.pages is not None else self.rows < self.total

    def _take(self, page: Page) -> None:
        self.pages += 1
        self.rows += page.rows
        if self.pages == 1:
            self.total = page.total
        elif page.total != self.total:
            raise self._fails(
                "total",
                f"page {self.pages} says that there are {page.total} in all, the first said {self.total}",
                "rows came or went meanwhile; it is asked again",
                passing=True,
            )
        if page.rows:
            self._once(page.digest, f"page {self.pages} has the very rows of one before")
        size = self.paging.size
        if size is not None and page.rows > size:
            raise self._fails(
                "size",
                f"page {self.pages} has {page.rows:,} rows, asked for were {size:,}",
                "what is the parameter of the size?",
            )
        if self._short and page.rows and self.paging.style in ("page", "offset"):
            raise self._fails(
                "size",
                f"a page had fewer than {size} rows, and it was not the last",
                "is size what the server gives?",
                passing=True,
            )
        self._short = size is not None and page.rows < size
        if self.total is not None and self.paging.pages is None and self.rows > self.total:
            raise self._fails(
                "total", f"{self.rows:,} rows came of {self.total:,}", "is total the path of the number of all rows?"
            )
        if self.pages >= _MOST_PAGES:
            raise self._fails("size", f"there are more than {_MOST_PAGES:,} pages", "ask for larger pages")

    def _end(self) -> None:
        if self.total is not None and self.paging.pages is None and self.rows != self.total:
            raise self._fails(
                "total",
                f"the last page was seen, but {self.rows:,} rows came of {self.total:,}",
                "it is asked again",
                passing=True,
            )

    def _once(self, what: str, told: str) -> None:
        if what in self._seen:
            raise self._fails(
                "parameter",
                f"{told}: the rows would never end, or come twice",
                "is the parameter named as the server has it?",
            )
        self._seen.add(what)

    def _parameters(self, start: str | None) -> Mapping[str, str]:
        said = self.paging
        found = {} if start is None else {said.parameter or said.style: start}
        if said.size_parameter is not None and said.size is not None:
            found[said.size_parameter] = str(said.size)
        return found

    def _fails(self, setting: str, said: str, remedy: str, *, passing: bool = False) -> SourceError:
        return SourceError(
            self.source, f"extracts.paging.{setting}", f"{said}; nothing was taken", remedy, passing=passing
        )


def read_page(
    source: str, file: Path, rows: str, changed_by: str | None, paging: Paging | None, headers: Mapping[str, str]
) -> Page:
    """What a page says of itself. Raises SourceError: it is no JSON, or has not the shape that the settings tell."""
    import ijson  # type: ignore[import-untyped]

    reading = _Reading(source, rows, changed_by, paging)
    try:
        with file.open("rb") as handle:
            if handle.read(len(BOM_UTF8)) != BOM_UTF8:
                handle.seek(0)
            for place, event, value in ijson.parse(handle):
                reading.take(place, event, value)
    except ijson.JSONError as error:
        with file.open("rb") as handle:
            start = handle.read(60).decode("utf-8", "replace")
        raise SourceError(
            source,
            "extracts.content",
            f"the answer is no JSON ({error}); it begins with {start!r}",
            "an address of a page for people, or of a log-in? if it is a file, say content: file",
        ) from None
    return reading.page(headers)


class _Reading:
    """One pass over the events of a page."""

    def __init__(self, source: str, rows: str, changed_by: str | None, paging: Paging | None):
        self._source, self._rows, self._changed_by, self._paging = source, rows, changed_by, paging
        self._item = f"{rows}.item" if rows else "item"
        self._changed = f"{self._item}.{changed_by}"
        self._total_at = paging.total or paging.pages if paging else None
        self._more_at = paging.more if paging else None
        self._next_at = paging.next if paging else None
        self._count, self._with_change, self._is_list = 0, 0, False
        self._digest = hashlib.sha256()
        self._range = Range()
        self._total: Any = None
        self._more: Any = None
        self._next: Any = None
        self._has_next = False

    def take(self, place: str, event: str, value: Any) -> None:
        if place.startswith(self._item) and (place == self._item or place[len(self._item)] == "."):
            self._digest.update(f"{place}\0{event}\0{value}\0".encode("utf-8", "surrogatepass"))
            if place == self._item and (event in _SCALARS or event in ("start_map", "start_array")):
                self._count += 1
            elif place == self._changed and self._changed_by is not None and event in ("string", "number"):
                self._with_change += 1
                if not self._range.take(str(value)):
                    raise self._unordered(str(value))
        elif place == self._rows and event == "start_array":
            self._is_list = True
        elif place == self._total_at and event in _SCALARS:
            self._total = value
        elif place == self._more_at and event in _SCALARS:
            self._more = value
        elif place == self._next_at and event in _SCALARS:
            self._next, self._has_next = value, True

    def page(self, headers: Mapping[str, str]) -> Page:
        named = self._rows or "the answer itself"
        if not self._is_list:
            raise SourceError(
                self._source,
                "extracts.rows",
                f"{named} is no list of rows",
                "name the path to the rows: rows: data.rows",
            )
        if self._changed_by is not None and self._with_change != self._count:
            raise SourceError(
                self._source,
                "extracts.changed_by",
                f"{self._count - self._with_change:,} of {self._count:,} rows have no {self._changed_by}",
                "name an attribute that every row has, by its path in a row",
            )
        if self._more_at is not None and not isinstance(self._more, bool):
            raise self._unsaid("more", self._more_at, "true or false")
        following = None if self._next in (None, "") else str(self._next)
        return Page(
            rows=self._count,
            digest=self._digest.hexdigest(),
            newest=self._range.newest,
            oldest=self._range.oldest,
            total=self._all(headers),
            more=self._more,
            next=following,
            has_next=self._has_next,
        )

    def _all(self, headers: Mapping[str, str]) -> int | None:
        """How many there are in all, as a page says. Raises SourceError if it was to say it and does not."""
        if self._paging is None or (self._total_at is None and self._paging.total_header is None):
            return None
        said = self._total if self._total_at is not None else headers.get(self._paging.total_header or "")
        if said is None or isinstance(said, bool) or not re.fullmatch(r"\d{1,15}", str(said)):
            setting = "pages" if self._paging.pages is not None else "total"
            raise self._unsaid(setting, self._total_at or f"header {self._paging.total_header}", "a number of all")
        return int(said)

    def _unsaid(self, setting: str, where: str, what: str) -> SourceError:
        return SourceError(
            self._source,
            f"extracts.paging.{setting}",
            f"a page does not say {what} at {where}; nothing was taken",
            "name where it is",
        )

    def _unordered(self, value: str) -> SourceError:
        return SourceError(
            self._source,
            "extracts.changed_by",
            f"{value[:40]!r} is neither a whole number nor a moment written as the others are: which is the newest cannot be told",
            "name an attribute that is",
        )


class Range:
    """The oldest and the newest of values that are all whole numbers, or all moments of one form: as these they can be compared."""

    def __init__(self) -> None:
        self.oldest: str | None = None
        self.newest: str | None = None

    def take(self, value: str) -> bool:
        """False: this one cannot be compared with those before."""
        if _form(value) is None or (self.newest is not None and _form(self.newest) != _form(value)):
            return False
        if self.oldest is None or less(value, self.oldest):
            self.oldest = value
        if self.newest is None or less(self.newest, value):
            self.newest = value
        return True


def less(one: str, other: str) -> bool:
    """Of two values of one form: whether one is before the other."""
    return int(one) < int(other) if _WHOLE.fullmatch(one) else one < other


def alike(one: str, other: str) -> bool:
    return _form(one) is not None and _form(one) == _form(other)


def _form(value: str) -> str | None:
    """What must be the same in two values for their order to be told; None: there is none in such a value."""
    if _WHOLE.fullmatch(value):
        return "number"
    found = _MOMENT.fullmatch(value)
    return None if found is None else f"{len(value)} {value[10:11]} {found[4] or ''}"
