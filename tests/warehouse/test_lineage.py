"""Lineage in standard forms: OpenLineage events of a small home, PROV of its values."""

from __future__ import annotations

import copy
import datetime as dt
import importlib
import importlib.resources
import json
import threading
import types
import typing
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import attr
import jsonschema
import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde
from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvElement, ProvEntity, ProvRelation
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.ingest import ingest_table, register_pending
from connectors.receiving.deliver import DeclaredDelivery, deliver
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.compiler import fingerprint
from pipelines.cli import app
from tests.support.homes import new_home
from tests.support.rows import LATER, only
from tests.support.settlements import ALMATY, ASTANA, SEMEY
from warehouse.audit import openlineage, openlineage_datasets
from warehouse.audit.openlineage import lineage_events
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.release.release import publish
from warehouse.store.sessions import reading, writing
from warehouse.store.store import Store

RUN = "0b2f4a52-5a43-4b7e-9f0c-6a8f0a1c2d3e"
# a share, a quantile, a mean; events, events in a register, a stock, a figure looked up by date; one table and two
CODES = ("MGT02-1", "MGT02-2", "ECO01-1", "ECB03-1", "ECB03-2", "INF01-2", "TRL01-2")
HEAD = "appeal_id,registered_at,due_at,first_answer_at,closed_at,status,category,channel,is_emergency\n"
ON_TIME = "{},2026-01-05T08:00:00,2026-01-20T12:00:00,,2026-01-09T12:00:00,CLOSED,,,false\n"
OVERDUE = "L1,2026-01-05T08:00:00,2026-01-10T12:00:00,,2026-01-12T12:00:00,CLOSED,,,false\n"
FIRST = HEAD + "".join(ON_TIME.format(f"A{n}") for n in range(40)) + OVERDUE
CORRECTED = FIRST.replace("2026-01-12", "2026-01-08")
cli = CliRunner()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two releases. A Dagster run: the same bytes for two cities, a refused file for a third. Then by hand: a correction, and
    the other city's bytes once more."""
    home = new_home(tmp_path_factory.mktemp("lineage") / "home")
    archive, catalogue = Archive(home.archive), only(load_catalogues(), *CODES)

    def bring(store: Store, **extracts: str) -> None:
        for name, text in extracts.items():
            city, _, kato = name.partition("_")
            file = home.root / f"{city}.csv"
            file.write_text(text)
            deliver(archive, DeclaredDelivery(file, "fct_appeal", kato, "2026-01"), store.tables, {})
        register_pending(store, archive)
        ingest_table(store, archive, store.tables["fct_appeal"], {})
        compute(store, catalogue, ["2026-01"], today=LATER)

    with writing(home, RUN) as store:
        bring(
            store,
            **{f"astana_{ASTANA}": FIRST, f"almaty_{ALMATY}": FIRST, f"semey_{SEMEY}": FIRST.replace("due_at", "due")},
        )
    publish(home, archive.missing, RUN)
    with writing(home) as store:
        bring(store, **{f"astana_{ASTANA}": CORRECTED, f"almaty_{ALMATY}": FIRST})
    publish(home, archive.missing)
    return home


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with reading(home) as store:
        yield store


def told(store: Store, since: int = 0) -> list[dict[str, Any]]:
    return [Serde.to_dict(event) for _, event in lineage_events(store, since)]


@pytest.fixture(scope="module")
def everything(home: Home) -> list[dict[str, Any]]:
    """Every event, as it is sent."""
    with reading(home) as store:
        return told(store)


def complete(everything: list[dict[str, Any]], job: str) -> list[dict[str, Any]]:
    return [e for e in everything if (e["job"]["name"], e["eventType"]) == (job, "COMPLETE")]


def sequence_of_first_release(store: Store) -> int:
    row = store.con.execute("SELECT min(seq) FROM audit.ledger WHERE kind = 'released'").fetchone()
    assert row is not None
    return int(row[0])


# --- OpenLineage: form


FACETS: dict[str, Any] = {
    cls._get_schema(): cls
    for module in vars(facet_v2).values() if isinstance(module, types.ModuleType)
    for cls in vars(module).values() if isinstance(cls, type) and issubclass(cls, facet_v2.BaseFacet)
}  # fmt: skip


def rebuild(kind: Any, data: Any) -> Any:
    """Plain JSON as an object of the client's class: an unknown, missing or ill-typed field is an error."""
    if isinstance(data, dict) and "_schemaURL" in data:
        if data["_schemaURL"] == openlineage_datasets.DELIVERIES:
            schema = json.loads(Path(openlineage.__file__).with_name("openlineage.schema.json").read_text())
            jsonschema.validate(data, schema | schema["$defs"]["QalaDeliveriesInputDatasetFacet"])
            return None
        kind = FACETS[data["_schemaURL"]]
        assert data["_producer"] == openlineage.PRODUCER
        data = {name: value for name, value in data.items() if not name.startswith("_")}
    if attr.has(kind):
        own = vars(importlib.import_module(kind.__module__))
        types_of = typing.get_type_hints(kind, localns=vars(typing) | vars(event_v2) | vars(facet_v2) | own)
        aliases = {a.name: a.alias or a.name for a in attr.fields(kind)}
        assert set(data) <= set(aliases), f"{kind.__name__} has no {set(data) - set(aliases)}"
        given = {n: rebuild(types_of[n], v) for n, v in data.items() if n != "schemaURL"}
        return kind(**{aliases[n]: v for n, v in given.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (kind,) = (a for a in arguments if a is not type(None))
        return rebuild(kind, data)
    if origin is list:
        assert isinstance(data, list)
        return [rebuild(arguments[0], one) for one in data]
    if origin is dict:
        assert isinstance(data, dict)
        return {name: rebuild(arguments[1], one) for name, one in data.items()}
    if isinstance(kind, type) and issubclass(kind, event_v2.RunState):
        return kind(data)
    if kind is not Any:
        assert isinstance(data, (int, float) if kind is float else kind), f"{data!r} is no {kind}"
    return data


def test_every_event_is_what_the_specification_asks(everything: list[dict[str, Any]]) -> None:
    assert len(everything) == 2 * 2 * (1 + len(CODES) + 1), (
        "two runs: a load, the KPIs, a release; each starts and completes"
    )
    for one in everything:
        assert one["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
        again = rebuild(event_v2.RunEvent, json.loads(json.dumps(one)))
        assert again.run.runId == str(uuid.UUID(one["run"]["runId"]))
        at = dt.datetime.fromisoformat(one["eventTime"])
        assert at.utcoffset() == dt.timedelta(0)


def test_the_form_is_really_checked(everything: list[dict[str, Any]]) -> None:
    event = copy.deepcopy(complete(everything, "showcase.fct_appeal")[0])
    event["outputs"][0]["facets"]["schema"]["fields"][0]["kind"] = "text"
    with pytest.raises(AssertionError, match="has no"):
        rebuild(event_v2.RunEvent, event)


def test_every_run_starts_and_completes_once_in_the_order_of_the_ledger(
    store: Store, everything: list[dict[str, Any]]
) -> None:
    runs: dict[str, list[str]] = {}
    for event in everything:
        runs.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert set(map(tuple, runs.values())) == {("START", "COMPLETE")}
    sequences = [seq for seq, _ in lineage_events(store)]
    assert sequences == sorted(sequences)
    assert sequences[-1] == store.last_seq
    assert told(store) == everything, "the same release gives the same events"


def test_a_run_has_several_events_where_it_took_in_many_files(
    store: Store, monkeypatch: pytest.MonkeyPatch, everything: list[dict[str, Any]]
) -> None:
    whole = complete(everything, "showcase.fct_appeal")[0]
    for module in (openlineage, openlineage_datasets):
        monkeypatch.setattr(module, "INPUTS", 1)
    lots = [e for e in told(store) if e["run"]["runId"] == whole["run"]["runId"]]
    assert [e["eventType"] for e in lots] == ["START", "RUNNING", "COMPLETE"]
    assert [i for e in lots for i in e["inputs"]] == whole["inputs"]


# --- OpenLineage: content


def test_a_load_names_archived_files_their_deliveries_and_checks(
    home: Home, store: Store, everything: list[dict[str, Any]]
) -> None:
    event, correction = complete(everything, "showcase.fct_appeal")
    files = {i["name"]: i for i in event["inputs"]}
    assert len(files) == 2, "the same bytes for two cities are one file"
    for name in files:
        assert Archive(home.archive).path(name.removeprefix("sha256/")).exists()
    (twice,) = [i for i in event["inputs"] if len(i["inputFacets"]["qala_deliveries"]["deliveries"]) == 2]
    assert [d["scope"] for d in twice["inputFacets"]["qala_deliveries"]["deliveries"]] == [ASTANA, ALMATY]
    assert twice["inputFacets"]["dataQualityMetrics"]["rowCount"] == 41
    assert twice["inputFacets"]["dataQualityMetrics"]["bytes"] == len(FIRST)
    (refused,) = [i for i in event["inputs"] if i is not twice]
    assert refused["inputFacets"]["qala_deliveries"]["deliveries"][0]["state"] == "refused"
    failed = [c["name"] for c in refused["inputFacets"]["dataQualityAssertions"]["assertions"] if not c["success"]]
    assert "structure" in failed
    (output,) = event["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 82
    named = {f["name"]: f for f in output["facets"]["schema"]["fields"]}
    assert set(store.tables["fct_appeal"].business_columns) < set(named)
    assert named["due_at"]["type"] == "TIMESTAMP"
    assert named["due_at"]["description"]
    # the second load: one correction, one file that was there before and is not judged again
    states = {i["inputFacets"]["qala_deliveries"]["deliveries"][0]["state"]: i for i in correction["inputs"]}
    assert set(states) == {"loaded", "duplicate"}
    assert "dataQualityAssertions" not in states["duplicate"]["inputFacets"]
    count = store.con.execute("SELECT count(*) FROM audit.check_result").fetchone()
    both = [a for e in (event, correction) for i in e["inputs"]
            for a in i["inputFacets"].get("dataQualityAssertions", {}).get("assertions", ())]  # fmt: skip
    assert (len(both),) == count


def test_a_dagster_run_is_the_parent_of_what_it_did(store: Store) -> None:
    first = sequence_of_first_release(store)
    parents = {(seq <= first, event.run.facets.get("parent") and event.run.facets["parent"].run.runId)  # type: ignore[index, union-attr]
               for seq, event in lineage_events(store) if event.eventType is event_v2.RunState.COMPLETE}  # fmt: skip
    assert parents == {(True, RUN), (False, None)}


def test_a_kpi_is_led_back_to_the_columns_its_definition_reads(store: Store, everything: list[dict[str, Any]]) -> None:
    for code in CODES:
        event = complete(everything, f"kpi.{code}")[0]
        (output,) = event["outputs"]
        lineage = output["facets"]["columnLineage"]
        led = {(f["name"], f["field"]) for f in lineage["fields"]["value"]["inputFields"]}
        registered = store.con.execute(
            "SELECT table_name, column_name FROM registry.kpi_source WHERE kpi_code = ?", [code]
        )
        assert led == {(f"showcase.{t}", c) for t, c in registered.fetchall()}, code
        parts = {(f["name"], f["field"]) for p in ("numerator", "denominator") if p in lineage["fields"]
                 for f in lineage["fields"][p]["inputFields"]}  # fmt: skip
        assert parts in (led, set()), "a quantile has no parts, of any other the parts make the value"
        assert {i["name"] for i in event["inputs"]} == {name for name, _ in led}
        assert {f["field"] for f in lineage["dataset"]} <= {"kato", "snapshot_date"}
        known = {f["name"] for f in output["facets"]["schema"]["fields"]}
        assert set(lineage["fields"]) <= known


def test_an_aggregated_column_is_direct_a_condition_is_not(everything: list[dict[str, Any]]) -> None:
    event = complete(everything, "kpi.ECO01-1")[0]  # a mean over events
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]["numerator"]["inputFields"]
    kinds = {(t["type"], t["subtype"]) for f in fields for t in f["transformations"]}
    assert ("DIRECT", "AGGREGATION") in kinds
    assert ("INDIRECT", "GROUP_BY") in kinds


def test_a_computation_carries_its_definition_and_statement(store: Store, everything: list[dict[str, Any]]) -> None:
    event = complete(everything, "kpi.MGT02-1")[-1]
    tags = {t["key"]: t["value"] for t in event["run"]["facets"]["tags"]["tags"]}
    (kpi,) = [k for k in load_catalogues().kpis if (k.code, k.version) == ("MGT02-1", int(tags["definition.version"]))]
    assert tags["definition.hash"] == fingerprint(kpi)
    seq, digest = int(tags["ledger.sequence"]), tags["ledger.hash"]
    row = store.con.execute("SELECT kind, subject, hash FROM audit.ledger WHERE seq = ?", [seq]).fetchone()
    assert row == ("computed", "MGT02-1", digest)
    cells = (f"(SELECT '{ASTANA}' AS kato, '2026-01' AS period_id, TIMESTAMP '2026-01-01' AS period_start, TIMESTAMP '2026-02-01' AS period_end, "
             "DATE '2026-02-01' AS period_end_population_date)")  # fmt: skip
    query = event["job"]["facets"]["sql"]["query"].replace("JOIN asked AS", f"JOIN {cells} AS")
    assert [int(n) for n in (store.con.execute(query).fetchone() or ())[2:]] == [41, 41, 41], (
        "the statement gives the parts"
    )


def test_a_release_is_versioned_by_the_ledger_head(store: Store, everything: list[dict[str, Any]]) -> None:
    *_, last = complete(everything, "release")
    row = store.con.execute("SELECT seq || ':' || hash FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchone()
    assert (last["outputs"][0]["facets"]["version"]["datasetVersion"],) == row
    assert {i["name"] for i in last["inputs"]} == {f"kpi.{code}" for code in ("MGT02-1", "MGT02-2", "TRL01-2")}, (
        "the monthly ones"
    )


# --- OpenLineage: sending


class Receiver(BaseHTTPRequestHandler):
    """Takes events as Marquez would; answers 400 to those after the first `most`."""

    taken: typing.ClassVar[list[tuple[str, str | None, dict[str, Any]]]] = []
    most = 10_000

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        full = len(self.taken) >= self.most
        if not full:
            self.taken.append((self.path, self.headers["Authorization"], body))
        self.send_response(400 if full else 201)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.taken, Receiver.most = [], 10_000
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_events_go_to_a_file_and_on_from_where_they_ended(
    home: Home, store: Store, tmp_path: Path, everything: list[dict[str, Any]]
) -> None:
    file, first = tmp_path / "events.ndjson", sequence_of_first_release(store)
    whole = cli.invoke(app, ["openlineage", "--home", str(home.root), "--to", str(file)])
    assert whole.exit_code == 0, whole.output
    assert [json.loads(line) for line in file.read_text().splitlines()] == everything
    assert f"--since {store.last_seq}" in whole.output
    rest = cli.invoke(app, ["openlineage", "--home", str(home.root), "--since", str(first)])
    lines = [json.loads(line) for line in rest.stdout.splitlines()]
    assert lines == everything[-len(lines) :]
    assert 0 < len(lines) < len(everything)
    none = cli.invoke(app, ["openlineage", "--home", str(home.root), "--since", str(store.last_seq)])
    assert none.stdout == ""


def test_events_go_to_an_address(
    home: Home, store: Store, receiver: str, monkeypatch: pytest.MonkeyPatch, everything: list[dict[str, Any]]
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "secret")
    result = cli.invoke(app, ["openlineage", "--home", str(home.root), "--to", receiver, "--namespace", "astana"])
    assert result.exit_code == 0, result.output
    assert {(path, key) for path, key, _ in Receiver.taken} == {("/api/v1/lineage", "Bearer secret")}
    assert [e["run"] for _, _, e in Receiver.taken] != []
    assert len(Receiver.taken) == len(everything)
    places = {d["namespace"] for _, _, e in Receiver.taken for d in (*e["inputs"], *e["outputs"])}
    assert places == {"astana-archive", "astana-warehouse"}
    cli.invoke(
        app, ["openlineage", "--home", str(home.root), "--to", f"{receiver}/events", "--since", str(store.last_seq - 1)]
    )
    assert {path for path, _, _ in Receiver.taken[-2:]} == {"/events"}


def test_a_receiver_that_fails_leaves_a_place_to_go_on_from(
    home: Home, store: Store, receiver: str, everything: list[dict[str, Any]]
) -> None:
    Receiver.most = 5
    result = cli.invoke(app, ["openlineage", "--home", str(home.root), "--to", receiver])
    assert result.exit_code == 1
    output = result.output.replace("\n", "")
    assert "5 events were sent" in output
    since = int(output.rpartition("--since ")[2])
    assert 0 < since < store.last_seq
    Receiver.most = 10_000
    cli.invoke(app, ["openlineage", "--home", str(home.root), "--to", receiver, "--since", str(since)])
    ended = {e["run"]["runId"] for _, _, e in Receiver.taken if e["eventType"] == "COMPLETE"}
    assert ended == {e["run"]["runId"] for e in everything}


def test_without_a_release_there_is_nothing_to_tell(tmp_path: Path) -> None:
    result = cli.invoke(app, ["openlineage", "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert "nothing has been released" in result.output


# --- PROV

SCHEMA = json.loads((importlib.resources.files("prov") / "tests/schemas/prov-json.schema.json").read_text())
ASKED = {
    "a restated value": ("MGT02-1", ASTANA, "2026-01"),
    "a value": ("MGT02-1", ALMATY, "2026-01"),
    "a refused extract": ("MGT02-1", SEMEY, "2026-01"),
    "an extract not delivered": ("MGT02-1", "551010000", "2026-01"),
    "a country": ("MGT02-1", "KZ", "2026-01"),
    "a period not published": ("MGT02-1", ASTANA, "2026-Q1"),
}


def prov(home: Home, what: str) -> tuple[ProvDocument, dict[str, Any]]:
    """The document as read back, and what `explain` says of the same value."""
    asked = [*ASKED[what], "--home", str(home.root)]
    result = cli.invoke(app, ["provenance", *asked])
    assert result.exit_code == 0, result.output
    jsonschema.validators.validator_for(SCHEMA)(SCHEMA).validate(json.loads(result.stdout))
    explained = cli.invoke(app, ["explain", "--json", *asked])
    return ProvDocument.deserialize(content=result.stdout, format="json"), json.loads(explained.stdout)


def relations(doc: ProvDocument, name: str) -> list[tuple[str, str]]:
    """(from, to) of every relation of a kind, as qualified names."""
    return [
        tuple(str(v) for _, v in r.formal_attributes[:2])  # type: ignore[misc]
        for r in doc.get_records(ProvRelation)
        if r.get_type().localpart == name
    ]


@pytest.mark.parametrize("what", ASKED)
def test_the_document_is_sound(home: Home, what: str) -> None:
    doc, answer = prov(home, what)
    assert doc == doc.unified(), "every thing is said once"
    kinds = {kind: {str(r.identifier) for r in doc.get_records(kind)} for kind in (ProvEntity, ProvActivity, ProvAgent)}
    assert not kinds[ProvEntity] & kinds[ProvActivity], "an entity is no activity"
    declared = {str(r.identifier) for r in doc.get_records(ProvElement)}
    for relation in doc.get_records(ProvRelation):
        for name, value in relation.formal_attributes:
            if value is not None and name.localpart != "time":
                assert str(value) in declared, f"{relation} names what is not declared"
    generated = [entity for entity, _ in relations(doc, "Generation")]
    assert len(generated) == len(set(generated)), "a thing comes into being once"
    contents = {i.removeprefix("sha256:") for i in kinds[ProvEntity] if i.startswith("sha256:")}
    assert contents == {d["sha256"] for d in answer.get("deliveries", ())}
    # what is used was there before what used it ended
    ends = {str(a.identifier): a.get_endTime() for a in doc.get_records(ProvActivity)}  # type: ignore[attr-defined]
    made = dict(relations(doc, "Generation"))
    for activity, entity in relations(doc, "Usage"):
        before, after = ends.get(made.get(entity, "")), ends[activity]
        assert before is None or after is None or before <= after


def test_a_restated_value_leads_to_its_bytes_and_to_what_it_was(home: Home) -> None:
    doc, answer = prov(home, "a restated value")
    (earlier,) = answer["earlier"]
    cell = f"value:MGT02-1/{ASTANA}/2026-01"
    now, then = f"{cell}/{answer['computed']['as_of_seq']}", f"{cell}/{earlier['as_of_seq']}"
    derived = relations(doc, "Derivation")
    assert (now, then) in derived
    (old,), (new,) = doc.get_record(then), doc.get_record(now)
    assert (min(old.value), min(new.value)) == (earlier["value"], answer["value"]) == (pytest.approx(97.560976), 100)
    rows = {d["delivery_id"]: d["rows_in_this_number"] for d in answer["deliveries"]}
    assert sorted(rows.values()) == [1, 40], "rows that came again unchanged stay those of the first delivery"
    for delivery in answer["deliveries"]:
        number = delivery["delivery_id"]
        assert (now, f"rows:{number}") in derived
        assert (f"rows:{number}", f"delivery:{number}") in derived
        assert (f"delivery:{number}", f"sha256:{delivery['sha256']}") in relations(doc, "Specialization")
        assert (f"delivery:{number}", "agent:system-standard") in relations(doc, "Attribution")
    plan = f"definition:MGT02-1-{answer['definition']['version']}"
    assert plan in {
        str(v) for r in doc.get_records(ProvRelation) for n, v in r.formal_attributes if n.localpart == "plan"
    }
    assert (plan, "agent:catalogue-qala-proposal") in relations(doc, "Attribution")


def test_a_missing_value_names_its_reason_and_what_was_refused(home: Home) -> None:
    doc, answer = prov(home, "a refused extract")
    (value,) = doc.get_record(f"value:MGT02-1/{SEMEY}/2026-01/{answer['computed']['as_of_seq']}")
    assert not value.value
    assert value.get_attribute("qala:reason") == {answer["reason"]}
    (delivery,) = answer["deliveries"]
    assert (str(value.identifier), f"load:{delivery['delivery_id']}") in relations(doc, "Influence")
    assert not relations(doc, "Derivation")


def test_a_roll_up_is_derived_from_its_cells(home: Home, tmp_path: Path) -> None:
    doc, answer = prov(home, "a country")
    derived = {member for _, member in relations(doc, "Derivation")}
    assert derived == {f"value:MGT02-1/{m['kato']}/2026-01" for m in answer["members"] if m["value"] is not None}
    assert derived == {f"value:MGT02-1/{kato}/2026-01" for kato in (ASTANA, ALMATY)}
    file = tmp_path / "kz.json"
    cli.invoke(app, ["provenance", *ASKED["a country"], "--home", str(home.root), "--to", str(file)])
    assert ProvDocument.deserialize(str(file), format="json") == doc


def test_an_unknown_value_is_named(home: Home) -> None:
    result = cli.invoke(app, ["provenance", "MGT02-1", "Алмата", "2026-01", "--home", str(home.root)])
    assert result.exit_code == 1
    assert "did you mean" in result.output
    assert "750000000 Алматы" in result.output


def test_neither_library_is_loaded_for_other_commands() -> None:
    import subprocess
    import sys

    code = "import sys, pipelines.cli; print({'openlineage', 'prov', 'dagster'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "set()"
