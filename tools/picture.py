"""A picture of a settlement's scorecard for the README: the page of a report, as a browser shows it.

`python -m tools.picture [page] [to]`; made again by `make picture` after `qala demo`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.browser import ARGUMENTS, executable

ROOT = Path(__file__).parents[1]
PAGE = "en/settlement/551010000.html"  # Pavlodar
WIDTH, HEIGHT = 1200, 1000  # px
LARGEST = 200_000  # bytes of the file


def shoot(page: Path, to: Path) -> int:
    """Write the page's upper part as PNG. Returns its bytes; raises SystemExit where there is no browser or it is too large."""
    if executable() is None:
        raise SystemExit("no Chromium on PATH; make browser")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        shown.goto(page.resolve().as_uri())
        to.parent.mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=to)
        browser.close()
    size = to.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{to} has {size} bytes, more than {LARGEST}")
    return size


def main() -> None:
    given = dict(enumerate(sys.argv[1:]))
    page = Path(given.get(0, ROOT / "qala-demo/report" / PAGE))
    to = Path(given.get(1, ROOT / "docs/images/scorecard.png"))
    if not page.exists():
        raise SystemExit(f"no page {page}; make demo")
    sys.stdout.write(f"{to}: {shoot(page, to) / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
