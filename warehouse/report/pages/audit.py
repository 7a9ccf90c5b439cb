"""Audit: the release behind the report, how to verify it with and without qala, what was restated, the method, the lists, the states.

Does not belong here: verifying (warehouse/audit/), which is not done when pages are made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from warehouse.messages.messages import sentence
from warehouse.report.page import Page
from warehouse.report.pages.quality import MOST, former_release, restatements
from warehouse.report.release_data import ReleaseData

Row = dict[str, Any]
_MANIFEST, _ANCHOR, _STATEMENT = "release.json", "ANCHOR.txt", "release.intoto.json"
_LONGEST = 1 << 20  # bytes of a file beside the release that are read


def pages(release: ReleaseData, language: str) -> Iterator[Page]:
    said = json.loads(release.rows(f"SELECT detail FROM audit.ledger WHERE seq = {release.seq}")[0]["detail"])
    manifest, former = _manifest(release), release.once(former_release)
    restated = [one for one in release.once(restatements) if former and one["restated_seq"] > former["seq"]]
    context: dict[str, Any] = {
        "title": sentence("overview.audit_title", language),
        "said": said,
        "former": former,
        "manifest": manifest,
        "fits": manifest is not None and _fits(release, manifest, said),
        "files": _files(release, manifest, said),
        "anchor": _anchor(release),
        "signed": (release.file.parent / _STATEMENT).is_file(),
        "restated": restated[:MOST],
        "restated_all": len(restated),
        "rules": release.once(_rules),
        "example": _example(release),
    }
    yield Page("audit.html", "audit.html.j2", context)


def _example(release: ReleaseData) -> str:
    """A value of this release that may be shown, as the commands name it; in words where there is none."""
    for kato, of in release.figures.values.items():
        for code, rows in of.items():
            if shown := [row for row in rows if row["value"] is not None]:
                return f"{code} {kato} {shown[-1]['period_id']}"
    return "KPI KATO PERIOD"


def _manifest(release: ReleaseData) -> Row | None:
    """The manifest that lay beside the released file; None if there is none, or it cannot be read."""
    try:
        read = json.loads(_beside(release, _MANIFEST) or "null")
    except ValueError:
        return None
    return read if isinstance(read, dict) and isinstance(read.get("sha256"), dict) else None


def _beside(release: ReleaseData, file: str) -> str | None:
    path: Path = release.file.parent / file
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= _LONGEST else None
    except (OSError, UnicodeDecodeError):
        return None


def _fits(release: ReleaseData, manifest: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Whether the manifest is of the file that was read, and names the exports as the ledger does."""
    hashes = manifest["sha256"]
    return (
        (manifest.get("seq"), manifest.get("ledger_head")) == (release.seq, release.head)
        and hashes.get(release.file.name) == release.sha256
        and all(hashes.get(file) == digest for file, digest in said.get("exports", {}).items())
    )


def _files(release: ReleaseData, manifest: Row | None, said: Mapping[str, Any]) -> dict[str, str]:
    """File → SHA-256: of the file read as it was read, of exports as the ledger has them, of others as the manifest does."""
    others = manifest["sha256"] if manifest and _fits(release, manifest, said) else {}
    return {**others, **said.get("exports", {}), release.file.name: release.sha256}


def _anchor(release: ReleaseData) -> str | None:
    """The line to keep elsewhere, if it is of this release."""
    line = (_beside(release, _ANCHOR) or "").strip()
    named = f"head {release.seq}:{release.head} release {release.sha256}"
    return line if named in line and len(line.splitlines()) == 1 else None


def _rules(release: ReleaseData) -> list[Row]:
    """Rules of the assessments of the newest assessed year, each with floors and goals by KPI and group."""
    found = []
    for row in release.rows(
        "FROM kpi.assessment QUALIFY row_number() OVER (PARTITION BY catalogue_id ORDER BY assessment_id DESC) = 1"
    ):
        rules = json.loads(row["rules"])
        scales = []
        for code, scale in rules.get("scales", {}).items():
            by_group = (
                {None: scale}
                if "floor" in scale
                else {group: scale[group] for group in release.groups if group in scale}
            )
            scales += [
                {"code": code, "group": group, **ends} for group, ends in by_group.items() if code in release.kpis
            ]
        found.append({**row, "rules": rules, "scales": scales})
    return found
