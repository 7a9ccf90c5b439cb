"""Publishing as a person asks for it, and as Dagster does after a release."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from pipelines.automation import after_release
from pipelines.cli import app
from pipelines.definitions import build_defs
from tests.support.released import build
from warehouse.home.home import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("publishing") / "home")
    build(home)
    return home


def ask(home: Home, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["publish", "--home", str(home.root), *options])
    return result.exit_code, result.output


def test_a_person_publishes(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = ask(home, "--bom")
    assert code == 0
    assert str(home.root / "publications") in said
    assert (home.root / "publications/csv/kpi_values.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    monkeypatch.setenv("QALA_AGENCY", "KZ.SDU")
    code, said = ask(home, "--to", str(tmp_path / "out"), "--publisher", "An akimat")
    assert code == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["agency"], manifest["publisher"]) == ("KZ.SDU", "An akimat")


def test_an_earlier_edition_stands_beside_todays(home: Home) -> None:
    ask(home)
    code, said = ask(home, "--as-of", "12")
    assert code == 0
    assert "as of ledger sequence 12" in said
    manifests = [
        json.loads((home.root / f"{name}/manifest.json").read_text(encoding="utf-8"))
        for name in ("publications", "publications-as-of-12")
    ]
    assert manifests[0]["as_of"] == manifests[0]["release"] == manifests[1]["release"] > manifests[1]["as_of"] == 12
    assert "scorecard.csv" not in str(manifests[1]["sha256"])  # an assessment of later is none of then


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--agency", "1x"), "no SDMX id"),
        (("--as-of", "100000"), "has no sequence"),
        (("--as-of", "0"), "has no sequence"),
    ],
)
def test_what_cannot_be_published_is_said_in_a_sentence(home: Home, options: tuple[str, ...], said: str) -> None:
    code, output = ask(home, *options)
    assert code == 1
    assert said in output


def test_dagster_publishes_after_a_release_and_not_on_the_way_to_it(home: Home) -> None:
    defs = build_defs(home)
    job = defs.resolve_job_def("city_publications")
    assert job.execute_in_process().success
    assert dg.AssetKey("publications") not in defs.resolve_job_def("city_kpis").asset_layer.executable_asset_keys
    assert json.loads((home.root / "publications/manifest.json").read_text(encoding="utf-8"))["observations"] > 0
    assert after_release.job_name == "city_publications"
    with dg.instance_for_test() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("release"))
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        data = after_release.evaluate_tick(context)
        assert len(data.run_requests or ()) == 1
