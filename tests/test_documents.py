"""What documents name exists: paths and modules in backticks, links between pages, commands of `qala`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.floors import FLOORS

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "benchmarks",
    "connectors",
    "deploy",
    "docs",
    "examples",
    "kpi_definitions",
    "pipelines",
    "tests",
    "warehouse",
)
PAGES = sorted(
    path.relative_to(ROOT)
    for folder in (".", *FOLDERS)
    for path in ((ROOT / folder).glob("*.md") if folder == "." else (ROOT / folder).rglob("*.md"))
    if path.name != "CHANGELOG.md"  # it names what there was
)
# recipes name files that their reader writes; tests/whole/test_recipe_pages.py runs them
RECIPES = {Path("docs/add-a-kpi.md"), Path("docs/add-a-table.md")}
_PATH = re.compile(rf"(?<![\w/.<>-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w/?)")
_MODULE = re.compile(r"`(\w+\.py)`")
_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
_PLACEHOLDER = re.compile(r"[…*<>{}]|\.\.\.")


def files() -> set[str]:
    """Names of all Python files of the project."""
    return {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}


def named_paths(text: str) -> list[str]:
    """Paths of the project in a text; those with a placeholder in them are left out."""
    found = []
    for match in _PATH.finditer(text):
        rest = text[match.end() : match.end() + 1]
        if not _PLACEHOLDER.match(rest) and not _PLACEHOLDER.search(match[1]):
            found.append(match[1])
    return found


def exists(path: str) -> bool:
    """Whether there is such a file or folder; a decision goes by its number too: docs/adr/0001."""
    return (ROOT / path).exists() or (path.startswith("docs/adr/") and any(ROOT.glob(f"{path}-*.md")))


def test_there_are_pages() -> None:
    assert {"README.md", "docs/architecture.md", "docs/adr/0001-one-writer-and-a-released-copy.md"} <= set(
        map(str, PAGES)
    )


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RECIPES], ids=str)
def test_every_path_and_module_that_a_page_names_exists(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    gone = [path for path in named_paths(text) if not exists(path)]
    gone += [name for name in _MODULE.findall(text) if name not in files()]
    assert not gone


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [link for link in _LINK.findall(text) if not (ROOT / page.parent / link).exists()] == []


def test_a_path_that_is_not_there_is_found() -> None:
    assert named_paths(
        "see `warehouse/nowhere.py`, warehouse/showcase/<table>.odcs.yaml and connectors/ingest.py."
    ) == [
        "warehouse/nowhere.py",
        "connectors/ingest.py",
    ]


def test_the_picture_of_the_house_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for package, floors in FLOORS.items():
        for room in (room for rooms in floors for room in rooms):
            assert re.search(rf"\b{room}\b", page), f"{package}/{room} is not in docs/architecture.md"
