"""A publication: every format of a release's figures in one folder, written beside and put in place whole.

Does not belong here: any one format.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from warehouse.errors import StoreError
from warehouse.home.copies import file_sha256
from warehouse.home.folders import written_whole
from warehouse.home.home import Home
from warehouse.messages.messages import LANGUAGES
from warehouse.publications import csv_on_the_web, data_package, dcat, json_stat, sdmx_data, sdmx_xml
from warehouse.publications.figures import Figures, opened_figures
from warehouse.publications.open_sdg import OpenSdg
from warehouse.publications.sdmx_structures import list_id, structures
from warehouse.publications.tables import Table, open_sdg_table, sdmx_table, write_exports

MANIFEST = "manifest.json"
AGENCY = "QALA"
SDMX = "SDMX"  # left out where the package's extra `sdmx` is not installed
_SDMX_NEEDS = ("pysdmx", "lxml")
# an SDMX id of an agency: NestedNCNameID of SDMX-ML
_AGENCY = re.compile(r"[A-Za-z][A-Za-z0-9_\-]*(\.[A-Za-z][A-Za-z0-9_\-]*)*")


@dataclass(frozen=True)
class Settings:
    """How figures are published."""

    agency: str = AGENCY
    publisher: str = ""  # left out: the agency
    as_of: int | None = None  # ledger sequence; None: the release
    bom: bool = False  # in csv/, so that spreadsheets read Cyrillic

    @classmethod
    def given(
        cls, agency: str | None = None, publisher: str | None = None, as_of: int | None = None, *, bom: bool = False
    ) -> Settings:
        """As given; agency and publisher else by QALA_AGENCY and QALA_PUBLISHER."""
        agency = os.environ.get("QALA_AGENCY", AGENCY) if agency is None else agency
        publisher = os.environ.get("QALA_PUBLISHER", "") if publisher is None else publisher
        return cls(agency, publisher, as_of, bom)

    def folder(self, home: Home) -> Path:
        """Where it is written unless told otherwise; an earlier edition does not take the place of today's."""
        return home.root / ("publications" if self.as_of is None else f"publications-as-of-{self.as_of}")


@dataclass(frozen=True)
class Publication:
    """A publication as it was written."""

    folder: Path
    released_seq: int
    seq: int
    observations: int
    files: int
    bytes: int
    left_out: tuple[str, ...]  # formats whose library is not installed


@dataclass
class _Written:
    """Files of a publication as they come: path → SHA-256 and bytes."""

    folder: Path
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    by_list: dict[str, list[str]] = field(default_factory=dict)

    def write(self, path: str, content: str | bytes) -> str:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.take(path)
        return path

    def take(self, path: str) -> None:
        """A file that is there."""
        file = self.folder / path
        self.files[path] = file_sha256(file), file.stat().st_size


def publish_figures(home: Home, folder: Path, settings: Settings) -> Publication:
    """Write every format of the home's release in place of the publication that `folder` holds, if it holds one.

    Raises StoreError if the agency is no SDMX id, if there is no release or no such sequence, or if the folder holds something else.
    """
    if not _AGENCY.fullmatch(settings.agency):
        raise StoreError(
            f"{settings.agency!r} is no SDMX id of an agency: letters, digits, - and _, beginning with a letter; parts are joined by dots, as in KZ.BNS"
        )
    _refuse_other(folder)
    publisher = settings.publisher or settings.agency
    with (
        opened_figures(home, settings.agency, publisher, settings.as_of) as figures,
        written_whole(folder) as fresh,
    ):
        written = _Written(fresh)
        left_out = _write_all(written, figures, bom=settings.bom)
        edition, count = figures.edition, len(figures.observations)
    size = sum(size for _, size in written.files.values())
    return Publication(folder, edition.released_seq, edition.seq, count, len(written.files), size, left_out)


def _refuse_other(folder: Path) -> None:
    """Raises StoreError if a folder is there and is no publication: it would be lost."""
    if not folder.exists() or (folder.is_dir() and (not any(folder.iterdir()) or _is_publication(folder))):
        return
    raise StoreError(
        f"{folder} holds something else than a publication; name another folder with --to, or move it away"
    )


def _is_publication(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and {"ledger_head", "agency", "sha256"} <= set(manifest)


def _write_all(written: _Written, figures: Figures, *, bom: bool) -> tuple[str, ...]:
    """Returns the formats that were left out."""
    by_list = written.by_list = {one["catalogue_id"]: [] for one in figures.catalogues}
    left_out = () if all(map(find_spec, _SDMX_NEEDS)) else (SDMX,)
    if not left_out:
        _write_sdmx(written, figures)
    for one in figures.catalogues:
        for language in LANGUAGES:
            path = f"json-stat/{one['catalogue_id']}.{language}.json"
            by_list[one["catalogue_id"]].append(written.write(path, json_stat.dataset(figures, one, language)))
    for path, text in OpenSdg(figures).files():
        path = written.write(f"open-sdg/{path}", text)
        if path.endswith(".csv"):
            written.tables.append(open_sdg_table(path))
    for table in write_exports(figures, written.folder, bom=bom):
        written.take(table.path)
        written.tables.append(table)
    edition, tables = figures.edition, sorted(written.tables, key=lambda table: table.path)
    written.write(data_package.FILE, data_package.package(edition, tables, written.files, bom=bom))
    written.write(csv_on_the_web.FILE, csv_on_the_web.metadata(edition, tables))
    others = [path for path in sorted(written.files) if path.startswith(("csv/", "open-sdg/data/", "open-sdg/regions"))]
    written.write(dcat.FILE, dcat.catalog(figures, written.files, by_list, others))
    written.write(MANIFEST, _manifest(written, figures, left_out))
    return left_out


def _write_sdmx(written: _Written, figures: Figures) -> None:
    made = structures(figures)
    described = [
        written.write(f"sdmx/structures-{version}.xml", sdmx_xml.structure_message(made, figures.edition, version))
        for version in sdmx_xml.VERSIONS
    ]
    for one in figures.catalogues:
        written.by_list[one["catalogue_id"]] += described
        rows = figures.of(one["catalogue_id"])
        for version in sdmx_data.VERSIONS:
            path = f"sdmx/{list_id(one['catalogue_id'])}.sdmx-csv-{version}.csv"
            written.write(path, sdmx_data.data_message(made, one["catalogue_id"], rows, version))
            written.tables.append(sdmx_table(path, version))
            written.by_list[one["catalogue_id"]].append(path)


def _manifest(written: _Written, figures: Figures, left_out: Sequence[str]) -> str:
    edition = figures.edition
    said: dict[str, Any] = {
        "release": edition.released_seq,
        "as_of": edition.seq,
        "ledger_head": edition.head,
        "released_at": edition.released_at.isoformat(),
        "agency": edition.agency,
        "publisher": edition.publisher,
        "observations": len(figures.observations),
        "left_out": list(left_out),
        "sha256": {path: written.files[path][0] for path in sorted(written.files)},
    }
    return json.dumps(said, ensure_ascii=False, indent=1) + "\n"
