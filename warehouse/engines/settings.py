"""Which engine measures in a home: `<home>/engine.yaml`, and what it may say.

The pydantic models are the single source: they validate the file and give editors their JSON Schema (`qala schemas`). Without a file the
warehouse measures itself. Passwords are not settings: they come from the environment. Does not belong here: whether an engine is as it
must be, which it is asked itself (`Engine.ready`).
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from kpi_definitions.documents import Document, DocumentError, Fault, read
from kpi_definitions.model import Strict
from kpi_definitions.nearest import meant
from warehouse.engines.engine import Engine, EngineError
from warehouse.engines.tried import tried_versions
from warehouse.home.home import Home
from warehouse.tables.home_tables import tables_of

ENGINE = "QALA_ENGINE"  # one of the names below, in place of the one in the file
PASSWORD, READER_PASSWORD = "QALA_CLICKHOUSE_PASSWORD", "QALA_CLICKHOUSE_READER_PASSWORD"
SCHEMA = Path(__file__).with_name("engine.schema.json")
_PAGE = "docs/when-one-machine-is-not-enough.md"
_SECRET = re.compile(r"pass|pwd|secret|token|credential", re.IGNORECASE)


class EngineName(StrEnum):
    """The engines there are."""

    DUCKDB = "duckdb"
    CLICKHOUSE = "clickhouse"
    CHDB = "chdb"
    SPARK = "spark"


# what must be installed beside qala: module, and the extra that brings it
_NEEDS: Mapping[EngineName, tuple[str, str]] = {
    EngineName.CLICKHOUSE: ("clickhouse_connect", "clickhouse"),
    EngineName.CHDB: ("chdb", "chdb"),
    EngineName.SPARK: ("pyspark", "spark"),
}


def _refused(said: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("own", "{said}", {"said": said, "remedy": remedy})


def _address(text: str) -> str:
    """Scheme, host and port of HTTP. What is refused is not repeated: it may hold a password."""
    form = "http://HOST:8123, or https://HOST:8443"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused("is no address of a server", f"write {form}") from None
    if parts.username is not None or parts.password is not None:
        raise _refused("has a user or a password in it", f"take it out; the password belongs into {PASSWORD}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _refused("does not begin with http:// or https://", f"write {form}")
    if not port:
        raise _refused("names no port", f"write {form}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _refused("goes on after the port", f"write {form}")
    return text.rstrip("/")


def _master(text: str) -> str:
    if not re.fullmatch(r"spark://[\w.:\[\],-]+:\d{1,5}|local|local\[(\d+|\*)\]", text):
        raise _refused(
            f"{text!r} is no master that qala knows",
            "write spark://HOST:7077, a standalone cluster; or local[2], this machine alone; YARN and Kubernetes are not built",
        )
    return text


def _folder(path: Path) -> Path:
    if not path.is_absolute():
        raise _refused(f"{str(path)!r} is not the whole path", "write it from the root on: /mnt/qala")
    return path


Address = Annotated[str, Field(examples=["http://10.0.0.5:8123"]), AfterValidator(_address)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class ClickHouse(Strict):
    """A server of ClickHouse, or a cluster of them."""

    address: Address = Field(description="The server that is asked, by HTTP: http://HOST:PORT")
    database: Name = Field(description="Holds what qala loads, and nothing else")
    user: Name = Field(description=f"Loads: may create, fill and drop tables of the database; its password: {PASSWORD}")
    reader: Name = Field(description=f"Measures: may only read them, readonly=1; its password: {READER_PASSWORD}")
    cluster: Name | None = Field(
        None, description="Its name in remote_servers of every server, where there are several"
    )
    shards: tuple[Address, ...] = Field(
        (), description="With cluster: every shard's address, in the order of remote_servers"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.database.lower() in ("system", "information_schema"):
            raise _refused(f"database {self.database} is ClickHouse's own", "name one that qala has for itself")
        if self.user == self.reader:
            raise _refused(
                "user and reader are the same", f"measure as a user that may only read: CREATE USER in {_PAGE}"
            )
        if self.cluster and not self.shards:
            raise _refused(
                f"cluster {self.cluster} is named without shards",
                "name every server of it: shards: [http://…, http://…]",
            )
        if self.shards and not self.cluster:
            raise _refused("shards are named without cluster", "say what remote_servers calls them: cluster: NAME")
        if twice := next((one for one in self.shards if self.shards.count(one) > 1), None):
            raise _refused(f"shard {twice} is named twice", "name each server once")
        return self


class Spark(Strict):
    """A standalone cluster of Spark."""

    master: Annotated[str, AfterValidator(_master)] = Field(description="spark://HOST:7077; local[2] for trials")
    folder: Annotated[Path, AfterValidator(_folder)] | None = Field(
        None, description="Parquet files for the workers, at the same path on every machine; left out: in the home"
    )
    executor_memory: str = Field(
        "1g", pattern=r"^[1-9]\d{0,5}[mg]$", description="Heap of a worker's executor: 1g, 1500m"
    )
    cores: int | None = Field(
        None, ge=1, strict=True, description="Cores of all workers to take; left out: all there are"
    )


class EngineFile(Strict):
    """What engine.yaml says. A section may stand there for an engine that is not the chosen one: QALA_ENGINE can choose it."""

    engine: EngineName = Field(
        description="duckdb: the warehouse measures itself; chdb: ClickHouse's engine in this process"
    )
    clickhouse: ClickHouse | None = None
    spark: Spark | None = None


@dataclass(frozen=True)
class Chosen:
    """The engine of a home, with what the file says of it."""

    name: EngineName
    by: str  # what chose it: the file, QALA_ENGINE; empty: whoever asks, or nothing
    said: EngineFile


def chosen_engine(home: Home, name: str | None = None) -> Chosen:
    """The engine `name`, else that of QALA_ENGINE, else of the home's engine.yaml, else duckdb.

    Raises DocumentError for a file at fault, also if it chose another engine; EngineError for a name that is none, or has no section.
    """
    path, said = home.engine_settings, read_engine_file(home)
    override = os.environ.get(ENGINE, "")
    wanted = name or override
    by = "" if name else ENGINE if override else str(path) if path.exists() else ""
    if wanted and wanted not in list(EngineName):
        where = "" if name else f"{ENGINE}: "
        raise EngineError(f"{where}there is no engine {wanted!r}; {meant(wanted, list(EngineName))}")
    chosen = EngineName(wanted) if wanted else said.engine
    if chosen in EngineFile.model_fields and getattr(said, chosen) is None:
        raise EngineError(f"engine {chosen} has no section in {path}; write one: {_needed(chosen)}; see {_PAGE}")
    return Chosen(chosen, by, said)


def open_engine(home: Home, name: str | None = None) -> Engine | None:
    """The home's engine, or the one asked for; None: duckdb, the warehouse measures itself. Nothing is asked of it yet.

    Raises DocumentError, EngineError: the settings are at fault, or what the engine needs is not installed.
    """
    chosen = chosen_engine(home, name)
    if chosen.name is EngineName.DUCKDB:
        return None
    module, extra = _NEEDS[chosen.name]
    if importlib.util.find_spec(module) is None:
        raise EngineError(
            f"engine {chosen.name} needs {module}, which is not installed here; install it: pip install 'qala-kpi[{extra}]'"
        )
    if chosen.name is EngineName.SPARK:
        return _open_spark(home, chosen)
    return _open_clickhouse(home, chosen.said.clickhouse) if chosen.name is EngineName.CLICKHOUSE else _open_chdb(home)


def showcase_folder(home: Home, name: str | None = None) -> Path:
    """Where the files for the home's engine, or the one asked for, lie: in the home, unless Spark's workers see another place."""
    chosen = chosen_engine(home, name)
    shared = chosen.said.spark.folder if chosen.name is EngineName.SPARK and chosen.said.spark else None
    return (shared or home.engine) / "showcase"


def _open_clickhouse(home: Home, said: ClickHouse | None) -> Engine:
    from warehouse.engines.clickhouse import open_clickhouse

    assert said is not None
    return open_clickhouse(
        address=said.address,
        database=said.database,
        user=said.user,
        password=_password(PASSWORD, said.user),
        reader=said.reader,
        reader_password=_password(READER_PASSWORD, said.reader),
        cluster=said.cluster,
        shards=said.shards,
        tried=tried_versions(home),
        tables=tables_of(home),
    )


def _open_chdb(home: Home) -> Engine:
    from warehouse.engines.chdb import open_chdb

    return open_chdb(home.engine / "chdb", tried_versions(home), tables_of(home))


def _open_spark(home: Home, chosen: Chosen) -> Engine:
    from warehouse.engines.spark import SparkEngine

    said = chosen.said.spark
    assert said is not None
    files = showcase_folder(home, chosen.name)
    return SparkEngine(
        said.master, files, home.engine / "spark", executor_memory=said.executor_memory, cores=said.cores
    )


def _password(variable: str, user: str) -> str:
    if (found := os.environ.get(variable)) is None:
        raise EngineError(
            f"{variable} is not set: the password of ClickHouse's user {user}; set it, empty if that user has none"
        )
    return found


def read_engine_file(home: Home) -> EngineFile:
    """What a home's engine.yaml says; duckdb if there is none. Raises DocumentError with every fault."""
    path = home.engine_settings
    if not path.exists() and not path.is_symlink():
        return EngineFile(engine=EngineName.DUCKDB)
    document = read(path)
    if not isinstance(document.data, dict):
        raise DocumentError(
            [document.fault((), "says nothing", f"write engine: {_names(EngineName)}, or take the file away")]
        )
    try:
        return EngineFile.model_validate(document.data)
    except ValidationError as error:
        raise DocumentError(_faults(document, error)) from None


def _faults(document: Document, error: ValidationError) -> Iterator[Fault]:
    """Every problem with its line. A value is repeated only where it cannot be a password."""
    for problem in error.errors(include_url=False):
        where = tuple(problem["loc"])
        place = ".".join(map(str, where))
        kind, value = problem["type"], problem["input"]
        said, remedy = f"{place}: {problem['msg']}", f"see {SCHEMA.name} and {_PAGE}"
        if kind == "own":
            remedy = str(problem["ctx"]["remedy"])
        elif kind == "extra_forbidden":
            said, remedy = _unknown(where)
        elif kind == "missing":
            said = f"{place} is missing"
            remedy = f"add {where[-1]}: … ({_model_at(where).model_fields[str(where[-1])].description})"
        elif kind == "enum":
            said, remedy = f"there is no engine {value!r}", meant(str(value), list(EngineName))
        elif kind == "string_pattern_mismatch":
            said, remedy = f"{place}: {value!r} is not written as it must be", _field_help(where)
        elif kind == "model_type":
            said, remedy = f"{place} must be a section", f"write under it, indented: {_needed(EngineName(place))}"
        elif kind.endswith("_type"):
            said, remedy = f"{place} is of the wrong kind: {problem['msg']}", _field_help(where)
        yield document.fault(where, said, remedy)


def _unknown(where: tuple[Any, ...]) -> tuple[str, str]:
    key, known = str(where[-1]), _model_at(where).model_fields
    if _SECRET.search(key):
        variable = READER_PASSWORD if "reader" in key.lower() else PASSWORD
        return (
            f"{key}: a password does not belong into this file, which is copied and shown",
            f"take it out, change it, and set it in the environment of whoever runs qala: {variable}",
        )
    if len(where) == 1 and key in list(EngineName):
        return f"unknown key {key}", f"{key} needs no section: take it out"
    return f"unknown key {'.'.join(map(str, where))}", meant(key, list(known))


def _model_at(where: tuple[Any, ...]) -> type[Strict]:
    sections: Mapping[str, type[Strict]] = {"clickhouse": ClickHouse, "spark": Spark}
    return sections[where[0]] if len(where) > 1 and where[0] in sections else EngineFile


def _field_help(where: tuple[Any, ...]) -> str:
    field = _model_at(where).model_fields.get(str(where[1] if len(where) > 1 else where[0]))
    return str(field.description) if field is not None else f"see {_PAGE}"


def _needed(name: EngineName) -> str:
    model = _model_at((name, ""))
    return ", ".join(f"{key}: …" for key, field in model.model_fields.items() if field.is_required())


def _names(names: type[StrEnum]) -> str:
    return ", ".join(names)
