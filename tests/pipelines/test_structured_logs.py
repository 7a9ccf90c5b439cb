"""QALA_LOG=json: every line is one object with the same fields, from a run, a command, or another program; nothing of a row is in it."""

import datetime as dt
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution import context_creation_job
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipelines import structured_logs
from pipelines.cli import app, common
from pipelines.logged import as_object, main
from pipelines.resources import report_progress
from tests.support.files import Desk, crash, text
from tests.support.settlements import ALMATY, ASTANA

ROOT = Path(__file__).parents[2]
CELL = "Serik Akhmetov 820717350123"  # a cell as a library may quote it in an error


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """JSON is asked for; afterwards this process logs as before."""
    monkeypatch.setenv(structured_logs.LOG, "json")
    own, root = logging.getLogger(structured_logs.OURS), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setitem(
        vars(context_creation_job), "default_system_loggers", context_creation_job.__dict__["default_system_loggers"]
    )
    yield
    for console in (common.out, common.err):
        console.file, console.soft_wrap = None, False  # type: ignore[assignment]
    own.handlers[:], root.handlers[:] = [], handlers
    own.setLevel(logging.NOTSET)
    own.propagate = True
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def records(written: str) -> list[dict[str, Any]]:
    """Every line, held against what each has."""
    found = [json.loads(line) for line in written.splitlines()]
    for one in found:
        assert one["time"].endswith("Z")
        assert dt.datetime.fromisoformat(one["time"]).utcoffset() == dt.timedelta(0)
        assert one["level"] in ("debug", "info", "warning", "error", "critical")
        assert {*map(type, (one["logger"], one["message"]))} == {str}
    return found


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(["2026-01", "2026-02"]), backfill_policy=dg.BackfillPolicy.single_run()
)
def showcase__fct_crash(context: dg.AssetExecutionContext) -> None:
    report_progress(context, "one\nof two", delivery_id=7, settlement="710000000")
    context.log.debug("a detail")
    raise ValueError(f"Could not convert string '{CELL}' to INT32")


JOB = dg.Definitions(assets=[showcase__fct_crash], jobs=[dg.define_asset_job("all")]).resolve_job_def("all")


def test_a_run_is_logged_with_its_fields_and_no_cell(asked: None, capsys: pytest.CaptureFixture[str]) -> None:
    structured_logs.patch()
    capsys.readouterr()
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/asset_partition_range_start": "2026-01", "dagster/asset_partition_range_end": "2026-02"}
        done = JOB.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    written = capsys.readouterr().err
    # Python's warnings come as lines too, of whatever library has one meanwhile; all that is ours is of the run
    found = [one for one in records(written) if one["logger"].partition(".")[0] == structured_logs.OURS]
    assert {one["run_id"] for one in found} == {done.run_id}
    (progress,) = [one for one in found if one["message"].startswith("one")]
    known = {
        "delivery_id": 7,
        "settlement": "710000000",
        "table": "fct_crash",
        "months": "2026-01/2026-02",
        "level": "info",
    }
    assert known.items() <= progress.items()
    assert not [one for one in found if one["message"] == "a detail"]
    (failed,) = [one for one in found if one.get("event") == "step_failure"]
    assert (failed["level"], failed["error"].partition(":")[0]) == ("error", "ValueError")
    assert [one["event"] for one in found if one.get("event", "").startswith("pipeline")] == [
        "pipeline_start",
        "pipeline_failure",
    ]
    assert not any(part in written for part in CELL.split())


def test_every_delivery_is_logged_when_the_ledger_has_it(
    asked: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path)
    structured_logs.begin()
    desk.deliver(text([crash(n) for n in range(5)] + [crash(9, injured=CELL)]), "fct_crash", scope=ASTANA)
    desk.deliver("a,b\n1,2\n", "fct_crash", scope=ALMATY)
    capsys.readouterr()
    with desk.open() as store:
        desk.take(store)
        written = capsys.readouterr().err
        entries = store.con.execute("SELECT seq FROM audit.ledger WHERE kind <> 'sealed' ORDER BY seq").fetchall()
        ids = dict(store.con.execute("SELECT scope, delivery_id FROM audit.delivery").fetchall())
        with suppress(KeyError), store.transaction():
            store.record([("key", "never", {})])
            raise KeyError
    assert capsys.readouterr().err == ""  # what is rolled back is not logged
    found = records(written)
    assert [one["seq"] for one in found] == [seq for (seq,) in entries][-len(found) :]
    decided = {one["settlement"]: one for one in found if "rows_received" in one}
    assert {scope: one["delivery_id"] for scope, one in decided.items()} == ids
    assert [decided[scope]["level"] for scope in (ASTANA, ALMATY)] == ["info", "warning"]
    assert {one["table"] for one in decided.values()} == {"fct_crash"}
    assert "a, b" in decided[ALMATY]["reason"]
    assert not any(part in written for part in CELL.split())


def test_nobody_listens_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk(tmp_path)
    desk.deliver(text([crash(1)]), "fct_crash")
    with desk.open() as store:
        desk.take(store)
    assert '"seq"' not in capsys.readouterr().err


def test_a_command_logs_what_it_would_print(asked: None, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "broken.yaml").write_text("kind: nothing\n")
    done = CliRunner().invoke(app, ["pull", "--home", str(tmp_path)])
    assert done.exit_code == 1
    found = records(done.stderr)
    assert {one["level"] for one in found} == {"error", "info"}
    assert any("broken.yaml" in one["message"] for one in found)
    assert done.stdout == ""


def test_another_format_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(structured_logs.LOG, "xml")
    done = CliRunner().invoke(app, ["pull", "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert "QALA_LOG is 'xml'" in done.output


_NAMES = st.sampled_from(["event", "timestamp", "level", "logger", "exception", "time", "message"])
_OBJECTS = st.dictionaries(_NAMES, st.text(min_size=1))


@given(st.one_of(st.text(), st.text().map(json.dumps), _OBJECTS.map(json.dumps)))
def test_any_line_becomes_an_object(line: str) -> None:
    found = as_object(line, "program")
    assert {"time", "level", "message"} <= found.keys()
    assert "\n" not in json.dumps(found)


def test_lines_of_dagster_keep_their_level() -> None:
    told = {
        "event": "Daemon is stale",
        "logger": "dagster.daemon",
        "level": "error",
        "timestamp": "2026-01-05T10:00:00.5Z",
    }
    said = json.dumps(told | {"exception": f"X {CELL}"})
    found = as_object(said, "dagster-daemon")
    assert (found["level"], found["logger"], found["message"]) == ("error", "dagster.daemon", "Daemon is stale")
    assert CELL.split()[-1] not in found["error"]
    coloured = "\x1b[32m2026-01-05 10:00:00 +0500\x1b[0m - dagster - \x1b[34mWARNING\x1b[0m - look"
    assert as_object(coloured, "dagster")["level"] == "warning"
    ours = {"time": "t", "level": "info", "message": "m", "run_id": "r"}
    assert as_object(json.dumps(ours), "p") == ours


def test_another_program_is_run_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    assert main([sys.executable, "-c", code]) == 3
    assert sorted(one["message"] for one in records(capsys.readouterr().err)) == ["one", "two"]


@pytest.mark.slow
def test_a_whole_run_of_the_command_line_is_json(tmp_path: Path) -> None:
    home = tmp_path / "home"
    file = tmp_path / "crashes.csv"
    file.write_text(text([crash(n) for n in range(20)]))
    words = ["deliver", str(file), "-t", "fct_crash", "-s", ASTANA, "-p", "2026-01", "--home", str(home)]
    assert CliRunner().invoke(app, words).exit_code == 0
    code = "import sys; from pipelines.cli import app; sys.argv[0] = 'qala'; app()"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, "run", "--home", str(home)],
        env={**os.environ, "QALA_LOG": "json"}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = records(done.stderr)
    assert (done.returncode, done.stdout) == (0, "")
    (run,) = {one["run_id"] for one in found if "run_id" in one}
    assert {one.get("event") for one in found} >= {"pipeline_start", "step_success", "pipeline_success"}
    assert any(
        (one.get("delivery_id"), one.get("settlement"), one.get("table")) == (1, ASTANA, "fct_crash") for one in found
    )
    assert found[-1]["message"].startswith(f"run {run[:8]}")
