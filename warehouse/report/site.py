"""The whole report: every kind of page in every language from one release, written beside and put in place together.

Does not belong here: what a page shows (pages/), what templates may call (wording.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import StoreError
from warehouse.home.copies import file_sha256
from warehouse.home.folders import written_whole
from warehouse.messages.messages import LANGUAGES, sentence
from warehouse.report.pages import FILES, KINDS
from warehouse.report.release_data import ReleaseData, opened_release
from warehouse.report.templating import environment
from warehouse.report.trails import trails
from warehouse.report.wording import name

MARK = "report.json"  # what a report says of the release it was made from
# word of the script → message
_SCRIPT_WORDS = {
    **{
        word: word
        for word in ("period", "value", "state", "bounds", "numerator", "denominator", "sample", "coverage", "version")
    },
    **{
        word: f"trail_{word}"
        for word in (
            "parts",
            "rejected_rows",
            "gap",
            "definition",
            "files",
            "file",
            "system",
            "rows",
            "accepted",
            "rejected",
            "checks",
            "again",
        )
    },
    **{word: f"trail_{word}" for word in ("none", "close", "cells", "all", "hidden")},
    "table": "kpi_table",
}
_STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Site:
    """A report as it was written."""

    folder: Path
    seq: int  # ledger sequence of the release: its number
    pages: int
    bytes: int

    @property
    def start(self) -> Path:
        return self.folder / "index.html"


def write_report(released: Path, folder: Path, languages: Sequence[str] = LANGUAGES) -> Site:
    """Write the report of a released file in place of the report that `folder` holds, if it holds one.

    Raises StoreError if the file is no release or holds what qala did not make, or if the folder holds something else than a report.
    """
    refuse_other(folder)
    with written_whole(folder) as fresh, opened_release(released) as release:
        pages = sum(_write_pages(fresh, release, language, languages) for language in languages)
        _write_trails(fresh, release, languages)
        for kind in FILES:
            for file, text in kind(release):
                _write(fresh / "data" / file, text)
        shutil.copytree(_STATIC, fresh / "static", copy_function=shutil.copyfile)
        for language in languages:
            _write_words(fresh, release, language)
        start = environment(release, languages[0], languages).get_template("start.html.j2")
        _write(fresh / "index.html", start.render(title="qala"))
        _write(fresh / MARK, json.dumps(release.mark, indent=1) + "\n")
        size = sum(path.stat().st_size for path in fresh.rglob("*") if path.is_file())
        return Site(folder, release.seq, pages, size)


def is_of(folder: Path, released: Path) -> bool:
    """Whether a folder is the report of a released file, by the file's SHA-256; not whether somebody wrote in a page since."""
    mark = folder / MARK
    return mark.is_file() and json.loads(mark.read_text(encoding="utf-8")).get("sha256") == file_sha256(released)


def refuse_other(folder: Path) -> None:
    """Raises StoreError if a folder is there and is no report: it would be lost."""
    if folder.exists() and not (folder / MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} holds something else than a report; name another folder with --to, or move it away")


def _write_pages(fresh: Path, release: ReleaseData, language: str, languages: Sequence[str]) -> int:
    """Write the pages of one language. Returns how many."""
    templates, written = environment(release, language, languages), 0
    for kind in KINDS:
        for page in kind(release, language):
            to_root = "../" * (1 + page.path.count("/"))
            context = {"path": page.path, "to_root": to_root, "to_pages": to_root[3:], **page.context}
            _write(fresh / language / page.path, templates.get_template(page.template).render(context))
            written += 1
    return written


def _write_trails(fresh: Path, release: ReleaseData, languages: Sequence[str]) -> None:
    """Of every settlement with data its data file and the page that says the same; both for all languages."""
    template = environment(release, languages[0], languages).get_template("trail.html.j2")
    for trail in trails(release):
        _write(fresh / "data" / f"{trail.kato}.js", trail.script(release))
        _write(
            fresh / "trail" / f"{trail.kato}.html",
            template.render(trail=trail, settlement=release.settlements[trail.kato]),
        )


def _write_words(fresh: Path, release: ReleaseData, language: str) -> None:
    """What the script says, in one language; loaded when it has something to say."""
    said: dict[str, Any] = {word: sentence(f"report.{code}", language) for word, code in _SCRIPT_WORDS.items()}
    said["states"] = {status: name(language, row) for status, row in release.states.items()}
    _write(fresh / "static" / f"words-{language}.js", f"qala.take({json.dumps(said, ensure_ascii=False)});\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
