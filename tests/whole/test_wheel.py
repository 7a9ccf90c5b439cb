"""The wheel has what the code opens, and works in an empty folder, without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from pipelines import checkout
from warehouse.errors import StoreError

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipelines", "connectors", "kpi_definitions", "warehouse")
GOLDEN = "kpi_definitions/catalogues/qala-proposal/golden"
# texts for who works on the code; nothing opens them
UNOPENED = {".md"}


def tracked(*folders: str) -> set[str]:
    """Files of these folders that git has, or would take."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return {name for name in done.stdout.split("\0") if name}


@pytest.fixture(scope="module")
def files() -> set[str]:
    """What the wheel will hold."""
    builder = WheelBuilder(str(ROOT))
    with builder.config.set_build_data({"artifacts": [], "force_include": {}, "build_hooks": ()}):
        return {one.distribution_path for one in builder.recurse_included_files()}


def test_every_file_of_the_packages_is_in_the_wheel_and_no_other(files: set[str]) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    wanted = tracked(*PACKAGES)
    data = {name for name in wanted if not name.endswith(".py")}
    assert len(data) > 200
    assert {name for name in wanted - files if Path(name).suffix not in UNOPENED} == set()
    golden = {f"{GOLDEN}/{Path(name).name}" for name in tracked("tests/golden") if name.endswith(".yaml")}
    assert golden <= files
    assert {name for name in files - wanted if not name.startswith(GOLDEN)} == {"pipelines/workspace.yaml"}


def test_the_sdist_has_what_the_page_of_deployment_installs() -> None:
    builder = SdistBuilder(str(ROOT))
    with builder.config.set_build_data({"artifacts": [], "force_include": {}, "build_hooks": ()}):
        files = {one.distribution_path for one in builder.recurse_included_files()}
    assert {
        "deploy/qala.env",
        "deploy/systemd/qala-code.service",
        "requirements/base.txt",
        "pipelines/dagster.yaml",
        "pyproject.toml",
    } <= files
    assert any(name.startswith("tests/golden/") for name in files)


def test_what_needs_a_checkout_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkout.CHECKOUT == ROOT
    checkout.needed("this")
    monkeypatch.setattr(checkout, "CHECKOUT", None)
    with pytest.raises(StoreError, match="run it in a checkout"):
        checkout.needed("this")


@pytest.mark.slow
def test_an_installed_wheel_works_in_an_empty_folder(tmp_path: Path) -> None:
    """Its dependencies are those of this environment; its code and data are its own."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    place, empty = tmp_path / "venv", tmp_path / "empty"
    venv.create(place, symlinks=True, with_pip=False)
    (site,) = place.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    # after the wheel's own packages
    (site / "beside.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    empty.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "QALA_HOME", "DAGSTER_HOME")
    }

    def qala(*words: str, code: int = 0) -> str:
        done = subprocess.run(  # noqa: S603
            [place / "bin" / "python", "-c", "import sys; from pipelines.cli import app; sys.argv[0] = 'qala'; app()", *words],
            cwd=empty, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert str(ROOT) not in done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "0 faults" in qala("check")
    assert "0 golden files" not in qala("check")
    assert "checkout" in qala("docs", code=1)
    assert "checkout" in qala("schemas", code=1)
    assert "checkout" in qala("new", "kpi", "MGT02-9", "--table", "fct_appeal", code=1)
    assert "710000000" in qala("settlements")
    (empty / "crashes.csv").write_text(
        "crash_id,occurred_at,district_id,deaths_30d,injured\nC1,2026-01-05 10:00:00,D1,0,1\n"
    )
    assert "fct_crash" in qala(
        "try", "crashes.csv", "--table", "fct_crash", "--settlement", "710000000", "--period", "2026-01"
    )
    qala("deliver", "crashes.csv", "-t", "fct_crash", "-s", "710000000", "-p", "2026-01")
    qala("run")
    assert "SAF04-1" in qala("explain", "SAF04-1", "710000000", "2026-01/2026-12", code=0)
    qala("verify")
    qala("report")
    assert "qala_release_present 1.0" in qala("metrics")
    assert (empty / "qala-home" / "report").is_dir()
