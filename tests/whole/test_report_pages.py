"""Pages of the report in a browser, from a folder: nothing from outside, no error, nothing cut, usable by keyboard and without script,
and numbers that are the release's.

A page of every kind, in every language. Needs a Chromium; without one all of it is skipped: `make browser`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support import reported
from tests.support.browser import ARGUMENTS, executable
from warehouse.messages.messages import LANGUAGES
from warehouse.report.site import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make install")
pytestmark = pytest.mark.skipif(
    executable() is None, reason="no Chromium on PATH, so pages are not looked at: make browser"
)

SETTLEMENT, OTHER = reported.CITIES
WITHOUT_DATA = "750000000"
KPI = "MGT02-1"
# one page of every kind: kind → path below the language's folder
KINDS = {
    "country": "index.html",
    "settlements": "settlements.html",
    "settlement": f"settlement/{SETTLEMENT}.html",
    "settlement without data": f"settlement/{WITHOUT_DATA}.html",
    "kpis": "kpis.html",
    "kpi": f"kpi/{KPI}.html",
    "compare": "compare.html",
    "quality": "quality.html",
    "systems": "systems.html",
    "audit": "audit.html",
}
PAGES = [(language, kind) for language in LANGUAGES for kind in KINDS]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# what is wider than the window, or whose text is cut off by its own box; boxes that scroll by themselves are meant to
CUT = """() => {
  const found = [], wide = document.documentElement.clientWidth;
  const scrolls = e => { for (; e; e = e.parentElement) { const o = getComputedStyle(e).overflowX; if (o == 'auto' || o == 'scroll') return true; } };
  if (document.documentElement.scrollWidth > wide) found.push('the page is ' + document.documentElement.scrollWidth + ' px wide');
  for (const e of document.body.querySelectorAll('*')) {
    const style = getComputedStyle(e), box = e.getBoundingClientRect(), inside = e.closest('svg') && e.tagName != 'svg';
    if (style.visibility == 'hidden' || !box.width || inside) continue;
    if (e.matches('.hidden, .hidden *, .skip')) continue;
    if (box.right > wide + 1 && !scrolls(e)) found.push(e.tagName + '.' + e.getAttribute('class') + ' ends at ' + box.right);
    const hides = style.overflowX == 'hidden' || style.overflowX == 'clip';
    if (hides && e.scrollWidth > e.clientWidth + 1) found.push(e.tagName + ' cuts ' + e.textContent.trim().slice(0, 40));
  }
  for (const svg of document.querySelectorAll('svg.chart')) {
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      if (frame.width && (box.left < frame.left - 1 || box.right > frame.right + 1)) found.push('chart cuts ' + text.textContent);
    }
  }
  return [...new Set(found)].slice(0, 8);
}"""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reported.build(tmp_path_factory.mktemp("reported") / "home").released_file


@pytest.fixture(scope="module")
def site(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(released, tmp_path_factory.mktemp("site") / "report").folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def window(browser: Any) -> Iterator[Any]:
    """One page for all tests that need no setting of their own, 1,400 px wide."""
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        yield context.new_page()


def address(site: Path, language: str, kind: str) -> str:
    return (site / language / KINDS[kind]).as_uri()


def test_every_kind_of_page_is_looked_at(site: Path) -> None:
    """A page is of a kind by its path with names of settlements and KPIs left out; trails are opened from a value below."""
    kinds = {
        re.sub(r"/[^/]+\.html$", "/…", path.relative_to(site / "en").as_posix())
        for path in (site / "en").rglob("*.html")
    }
    looked_at = {re.sub(r"/[^/]+\.html$", "/…", path) for path in KINDS.values()}
    assert kinds == looked_at


@pytest.mark.parametrize(("language", "kind"), PAGES)
def test_a_page_asks_nobody_and_has_no_error(site: Path, window: Any, language: str, kind: str) -> None:
    asked, errors = [], []

    def asks(request: Any) -> None:
        asked.append(request.url)

    def says(message: Any) -> None:
        errors.append(message.text) if message.type in ("error", "warning") else None

    def fails(error: Any) -> None:
        errors.append(str(error))

    window.on("request", asks)
    window.on("console", says)
    window.on("pageerror", fails)
    try:
        window.goto(address(site, language, kind))
        assert window.evaluate("document.documentElement.lang") == language
        assert window.locator("h1").count() == 1
        assert window.title()
    finally:
        window.remove_listener("request", asks)
        window.remove_listener("console", says)
        window.remove_listener("pageerror", fails)
    assert [url for url in asked if not url.startswith(site.as_uri())] == []
    assert errors == []


@pytest.mark.parametrize(("language", "kind"), PAGES)
def test_a_page_is_accessible(site: Path, window: Any, language: str, kind: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    window.goto(address(site, language, kind))
    window.evaluate(
        "document.querySelectorAll('details').forEach((d, i) => { d.open = i < 3; })"
    )  # all of them are alike
    found = Axe().run(window, options={"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]})
    assert [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found.response["violations"]
    ] == []


@pytest.mark.parametrize(("language", "kind"), PAGES)
def test_nothing_is_cut_on_a_telephone(site: Path, window: Any, language: str, kind: str) -> None:
    window.set_viewport_size({"width": 320, "height": 700})
    try:
        window.goto(address(site, language, kind))
        assert window.evaluate(CUT) == []
    finally:
        window.set_viewport_size({"width": 1400, "height": 900})


@pytest.mark.parametrize(("language", "kind"), PAGES)
def test_nothing_is_cut_in_print(site: Path, window: Any, language: str, kind: str) -> None:
    window.emulate_media(media="print")
    window.set_viewport_size({"width": 718, "height": 1000})  # A4 with margins of 10 mm at 96 px to the inch
    try:
        window.goto(address(site, language, kind))
        assert window.evaluate(CUT) == []
    finally:
        window.emulate_media(media="null")
        window.set_viewport_size({"width": 1400, "height": 900})


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_scorecard_prints_on_two_pages(site: Path, window: Any, language: str) -> None:
    window.emulate_media(media="null")  # as the printer has it
    window.goto(address(site, language, "settlement"))
    pdf = window.pdf(prefer_css_page_size=True, format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 2


# ---- keyboard, script


def test_the_keyboard_reaches_all_and_shows_where_it_is(site: Path, window: Any) -> None:
    window.goto(address(site, "ru", "settlement"))
    window.keyboard.press("Tab")
    assert window.evaluate("document.activeElement.className") == "skip"
    assert window.evaluate("document.activeElement.getBoundingClientRect().top") >= 0  # it comes into view
    for _ in range(12):
        seen = window.evaluate(
            "(s => s.outlineStyle != 'none' && parseFloat(s.outlineWidth) > 0)(getComputedStyle(document.activeElement))"
        )
        assert seen, window.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        window.keyboard.press("Tab")
    window.goto(address(site, "ru", "settlement"))
    window.keyboard.press("Tab")
    window.keyboard.press("Enter")
    assert window.evaluate("location.hash") == "#content"


def test_a_value_leads_to_its_files_without_script(site: Path, browser: Any) -> None:
    """From a number to parts, definition and files with their hash, by links alone."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address(site, "kk", "settlement"))
        page.locator("a.walk.number").first.click()
        target = page.url
        assert target.startswith(site.as_uri())
        assert re.search(r"\b[0-9a-f]{64}\b", page.locator("body").inner_text()), target


def test_a_value_opens_beside_itself_with_script(site: Path, browser: Any) -> None:
    """The same with the script: one data file of the settlement is asked for, and the page stays."""
    with browser.new_context() as context:
        page, asked = context.new_page(), []
        page.goto(address(site, "en", "settlement"))
        page.on("request", lambda request: asked.append(request.url))
        page.locator("a.walk.number").first.click()
        page.wait_for_function(r"/\b[0-9a-f]{64}\b/.test(document.body.innerText)")
        assert page.url.split("#")[0] == address(site, "en", "settlement")
        assert all(url.startswith(site.as_uri()) for url in asked)
        assert sum(SETTLEMENT in url for url in asked) == 1


def test_links_lead_somewhere(site: Path, window: Any) -> None:
    """Of a page of every kind in one language: to a file that is there, and in it to a place that is there."""
    ids: dict[Path, set[str]] = {}
    missing = []
    for kind in KINDS:
        here = (site / "ru" / KINDS[kind]).resolve()
        for link in set(re.findall(r'<a\b[^>]*?\bhref="([^"]+)"', here.read_text(encoding="utf-8"))):
            if link.startswith(("http:", "https:", "mailto:")):
                continue
            name, _, place = link.partition("#")
            there = (here.parent / name).resolve() if name else here
            if there not in ids:
                ids[there] = (
                    set(re.findall(r'\bid="([^"]+)"', there.read_text(encoding="utf-8"))) if there.is_file() else set()
                )
            if not there.is_file() or (place and place not in ids[there]):
                missing.append((kind, link))
    assert missing == []


# ---- numbers


def figures(site: Path, language: str) -> Iterator[tuple[str, str, str, str]]:
    """(KATO, KPI, period, displayed text) of the values by period on the pages of settlements."""
    row = re.compile(
        r'trail/(\d+)\.html#([\w-]+)\.([\w-]+)">[^<]*</a></th><td[^>]*>(?:<data[^>]*>)?([\d,.\u2212\u202f]+)<'
    )
    for path in sorted((site / language / "settlement").glob("*.html")):
        yield from row.findall(path.read_text(encoding="utf-8"))


def read(text: str, language: str) -> Decimal:
    """A displayed number."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace("\N{NARROW NO-BREAK SPACE}", "")
    return Decimal(plain.replace(",", "") if language == "en" else plain.replace(",", "."))


def test_two_hundred_numbers_are_those_of_the_release(site: Path, released: Path) -> None:
    with duckdb.connect(str(released), read_only=True) as con:
        known = {
            (kato, kpi, period): value
            for kato, kpi, period, value in con.execute(
                "SELECT kato, kpi_code, period_id, value FROM public_values WHERE value IS NOT NULL"
            ).fetchall()
        }
    shown = [(language, *figure) for language in LANGUAGES for figure in figures(site, language)]
    assert {shown_one[1:4] for shown_one in shown} == known.keys()
    assert len(shown) == len(LANGUAGES) * len(known) > 200
    for language, kato, kpi, period, text in random.Random(21).sample(shown, 200):  # noqa: S311
        value, displayed = Decimal(str(known[kato, kpi, period])), read(text, language)
        half_a_step = Decimal(5).scaleb(int(displayed.as_tuple().exponent) - 1)
        assert abs(displayed - value) <= half_a_step, (language, kato, kpi, period, text, value)


def test_exact_numbers_are_those_of_the_release(site: Path, released: Path) -> None:
    """What stands in a year's number for machines is the value, and its text is that value's rounding."""
    with duckdb.connect(str(released), read_only=True) as con:
        known = {
            (kato, kpi): value
            for kato, kpi, value in con.execute(
                "SELECT kato, kpi_code, value FROM public_year_values WHERE year = ? AND value IS NOT NULL",
                [reported.YEAR],
            ).fetchall()
        }
    row = re.compile(r'trail/(\d+)\.html#([\w-]+)"><data value="([^"]+)">([^<]+)</data>')
    for language in LANGUAGES:
        found = {
            (kato, kpi): (Decimal(exact), read(text, language))
            for path in (site / language / "settlement").glob("*.html")
            for kato, kpi, exact, text in row.findall(path.read_text(encoding="utf-8"))
        }
        assert found
        for key, (exact, displayed) in found.items():
            assert exact == Decimal(str(known[key])), key
            assert abs(displayed - exact) <= Decimal(5).scaleb(int(displayed.as_tuple().exponent) - 1), key
