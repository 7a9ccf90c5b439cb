"""`qala demo` and a folder that is there: what it empties, and what it asks first."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.cli.demo import MARK, ChangedError, DemoError, refuse, state


def a_demo(folder: Path) -> Path:
    """A folder as a demo leaves it."""
    (folder / "release").mkdir(parents=True)
    (folder / "release" / "qala.duckdb").write_text("values", encoding="utf-8")
    (folder / MARK).write_text(state(folder), encoding="utf-8")
    return folder


def test_demo_as_it_was_made_is_replaced_without_a_question(tmp_path: Path) -> None:
    folder = a_demo(tmp_path / "demo")
    for place in ("dagster", "report"):  # written by the UI's sensor
        (folder / place).mkdir()
        (folder / place / "looked-at").touch()
    refuse(folder)
    refuse(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty")


@pytest.mark.parametrize("place", ["catalogues/mine.yaml", "inbox/extract.csv", "release/qala.duckdb"])
def test_demo_that_was_worked_with_is_asked_for(tmp_path: Path, place: str) -> None:
    folder = a_demo(tmp_path / "demo")
    mine = folder / place
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(ChangedError, match="was changed since it was made"):
        refuse(folder)
    refused = CliRunner().invoke(app, ["demo", "--home", str(folder)])
    assert refused.exit_code == 1
    assert "--yes" in refused.stderr
    assert mine.exists()


def test_demo_that_did_not_end_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / MARK).touch()
    (tmp_path / "extracts").mkdir()
    with pytest.raises(ChangedError, match="did not end"):
        refuse(tmp_path)


def test_what_is_no_demo_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DemoError, match="no former demo"):
        refuse(tmp_path)
    assert CliRunner().invoke(app, ["demo", "--yes", "--home", str(tmp_path)]).exit_code == 1
    assert (tmp_path / "thesis.txt").exists()
