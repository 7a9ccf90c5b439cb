"""engine.yaml: what it may say, and that whatever is wrong with it is named with line and remedy."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.documents import DocumentError
from warehouse.engines.engine import EngineError
from warehouse.engines.settings import ENGINE, SCHEMA, ClickHouse, EngineFile, EngineName, chosen_engine, open_engine
from warehouse.home.home import Home

CLICKHOUSE = """engine: clickhouse
clickhouse:
  address: http://127.0.0.1:8123
  database: qala
  user: qala
  reader: qala_reader
"""
CLUSTER = CLICKHOUSE + "  cluster: country\n  shards:\n    - http://10.0.0.1:8123\n    - http://10.0.0.2:8123\n"
SPARK = (
    "engine: spark\nspark:\n  master: spark://10.0.0.1:7077\n  folder: /mnt/qala\n  executor_memory: 2g\n  cores: 4\n"
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv(ENGINE, raising=False)
    return Home(tmp_path)


def test_without_a_file_the_warehouse_measures_itself(place: Home) -> None:
    assert chosen_engine(place).name is EngineName.DUCKDB
    assert open_engine(place) is None


def test_what_a_file_says_is_what_is_chosen(place: Home) -> None:
    place.engine_settings.write_text(CLUSTER)
    chosen = chosen_engine(place)
    assert chosen.name is EngineName.CLICKHOUSE
    assert chosen.by == str(place.engine_settings)
    assert chosen.said.clickhouse is not None
    assert chosen.said.clickhouse.shards == ("http://10.0.0.1:8123", "http://10.0.0.2:8123")
    place.engine_settings.write_text(SPARK)
    spark = chosen_engine(place).said.spark
    assert spark is not None
    assert (spark.master, spark.folder, spark.cores) == ("spark://10.0.0.1:7077", Path("/mnt/qala"), 4)


def test_the_environment_and_who_asks_come_before_the_file(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    place.engine_settings.write_text(CLICKHOUSE + SPARK.partition("\n")[2])
    monkeypatch.setenv(ENGINE, "spark")
    assert chosen_engine(place).name is EngineName.SPARK
    assert chosen_engine(place, "chdb").name is EngineName.CHDB
    monkeypatch.setenv(ENGINE, "duckdb")
    assert open_engine(place) is None
    monkeypatch.setenv(ENGINE, "")
    assert chosen_engine(place).name is EngineName.CLICKHOUSE


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("clickhose", "did you mean clickhouse?"),
        ("oracle", "there are duckdb, clickhouse, chdb, spark"),
        ("ClickHouse", "did you mean clickhouse?"),
        ("spark", "has no section in"),
    ],
)
def test_an_engine_that_is_none_or_has_no_section_is_refused(
    place: Home, monkeypatch: pytest.MonkeyPatch, wanted: str, said: str
) -> None:
    place.engine_settings.write_text(CLICKHOUSE)
    monkeypatch.setenv(ENGINE, wanted)
    with pytest.raises(EngineError, match="engine") as refused:
        open_engine(place)
    assert said in str(refused.value)


WRONG: dict[str, tuple[str, str, str, str]] = {
    # what is replaced, by what, the beginning of the line at fault, what is said
    "an unknown key": ("  user: qala\n", "  user: qala\n  portt: 1\n", "  portt", "unknown key clickhouse.portt"),
    "a key nearly right": ("  reader:", "  redaer:", "  redaer", "did you mean reader?"),
    "a misspelt engine": ("engine: clickhouse", "engine: clickhuose", "engine", "did you mean clickhouse?"),
    "an engine by another case": ("engine: clickhouse", "engine: CLICKHOUSE", "engine", "did you mean clickhouse?"),
    "an engine of no name": ("engine: clickhouse", "engine: [a]", "engine", "there is no engine"),
    "no engine": ("engine: clickhouse\n", "", "clickhouse", "engine is missing"),
    "an engine given twice": ("engine: clickhouse\n", "engine: clickhouse\nengine: duckdb\n", "engine: duckdb", "given twice"),
    "something missing": ("  database: qala\n", "", "clickhouse:", "clickhouse.database is missing"),
    "a section of nothing": (CLICKHOUSE.partition("\n")[2], "clickhouse: yes\n", "clickhouse:", "must be a section"),
    "a section that takes none": ("engine: clickhouse\n", "engine: clickhouse\nchdb: {}\n", "chdb", "chdb needs no section"),
    "a password": ("  user: qala\n", "  user: qala\n  password: hunter2\n", "  password", "QALA_CLICKHOUSE_PASSWORD"),
    "the reader's": ("  user: qala\n", "  user: qala\n  reader_pwd: hunter2\n", "  reader_pwd", "QALA_CLICKHOUSE_READER_PASSWORD"),
    "a password above": ("engine: clickhouse\n", "engine: clickhouse\npassword: hunter2\n", "password", "QALA_CLICKHOUSE_PASSWORD"),
    "one in the address": ("http://127", "http://qala:hunter2@127", "  address", "belongs into QALA_CLICKHOUSE_PASSWORD"),
    "no scheme": ("http://127.0.0.1:8123", "127.0.0.1:8123", "  address", "http://HOST:8123"),
    "the native protocol": ("http://127", "clickhouse://127", "  address", "does not begin with http"),
    "no port": ("127.0.0.1:8123", "127.0.0.1", "  address", "names no port"),
    "a port that is none": (":8123", ":81234567", "  address", "is no address"),
    "a path": (":8123", ":8123/?user=x", "  address", "goes on after the port"),
    "a number as an address": ("http://127.0.0.1:8123", "8123", "  address", "wrong kind"),
    "a database that is no name": ("database: qala", "database: qa-la; DROP", "  database", "is not written as it must be"),
    "ClickHouse's own database": ("database: qala", "database: system", "clickhouse:", "ClickHouse's own"),
    "one user for both": ("reader: qala_reader", "reader: qala", "clickhouse:", "may only read"),
    "a cluster without shards": ("  user: qala\n", "  user: qala\n  cluster: country\n", "clickhouse:", "without shards"),
    "shards without a cluster": ("  user: qala\n", "  user: qala\n  shards: ['http://a:1']\n", "clickhouse:", "without cluster"),
    "a shard without a port": ("  user: qala\n", "  user: qala\n  cluster: c\n  shards:\n  - http://a:1\n  - http://b\n", "  - http://b", "names no port"),
    "a shard twice": ("  user: qala\n", "  user: qala\n  cluster: c\n  shards: ['http://a:1', 'http://a:1']\n", "clickhouse:", "named twice"),
    "no YAML": ("engine: clickhouse", "engine: [clickhouse", "  address", "not valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_with_its_line_and_a_remedy(place: Home, what: str) -> None:
    old, new, line, said = WRONG[what]
    assert old in CLICKHOUSE
    text = CLICKHOUSE.replace(old, new, 1)
    place.engine_settings.write_text(text)
    with pytest.raises(DocumentError) as refused:
        open_engine(place)
    fault = next((one for one in refused.value.faults if said in str(one)), None)
    assert fault is not None, refused.value
    assert fault.path == place.engine_settings
    assert fault.remedy
    assert "hunter2" not in str(refused.value)
    if what != "no YAML":
        assert text.splitlines()[fault.line - 1].startswith(line), fault


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("spark://10.0.0.1:7077", "10.0.0.1:7077", "write spark://HOST:7077"),
        ("spark://10.0.0.1:7077", "yarn", "YARN and Kubernetes are not built"),
        ("/mnt/qala", "mnt/qala", "is not the whole path"),
        ("2g", "2 gigabytes", "1g, 1500m"),
        ("cores: 4", "cores: 0", "spark.cores"),
        ("cores: 4", "cores: '4'", "Cores of all workers"),
        ("cores: 4", "cores: true", "Cores of all workers"),
        ("cores: 4", "memory: 4g", "did you mean executor_memory?"),
    ],
)
def test_what_is_wrong_with_spark_is_named_too(place: Home, old: str, new: str, said: str) -> None:
    place.engine_settings.write_text(SPARK.replace(old, new, 1))
    with pytest.raises(DocumentError) as refused:
        open_engine(place)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]\n", "clickhouse\n"])
def test_a_file_that_says_nothing_is_refused(place: Home, text: str) -> None:
    place.engine_settings.write_text(text)
    with pytest.raises(DocumentError, match="says nothing"):
        open_engine(place)


def test_a_file_at_fault_is_refused_whatever_else_chooses(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    place.engine_settings.write_text(CLICKHOUSE.replace("http", "ftp"))
    monkeypatch.setenv(ENGINE, "duckdb")
    with pytest.raises(DocumentError, match="does not begin with http"):
        open_engine(place)


def test_an_extra_that_is_not_installed_is_named(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    place.engine_settings.write_text(CLICKHOUSE + SPARK.partition("\n")[2])
    found = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> Any:
        return None if name in ("clickhouse_connect", "chdb", "pyspark") else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    for name in ("clickhouse", "chdb", "spark"):
        with pytest.raises(EngineError, match=rf"pip install 'qala-kpi\[{name}\]'"):
            open_engine(place, name)


def test_without_a_setting_nothing_of_an_engine_is_imported(place: Home) -> None:
    code = (
        "import sys; from pathlib import Path; from warehouse.engines.settings import open_engine; from warehouse.home.home import Home; "
        f"assert open_engine(Home(Path({str(place.root)!r}))) is None; "
        "print(sorted({'chdb', 'clickhouse_connect', 'pyspark', 'py4j', 'pyarrow', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_the_editors_schema_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA.read_text()) == EngineFile.model_json_schema()
    assert set(EngineFile.model_fields) - {"engine"} <= set(EngineName)
    assert "password" not in " ".join(ClickHouse.model_fields)
