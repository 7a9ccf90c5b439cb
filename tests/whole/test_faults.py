"""Faults of the machine under a run: full disks, too little memory, two runs, a home that cannot be written, files that others hold.

Whatever it is, it is told in a sentence, nothing is lost or half done, and the next run ends where an undisturbed one would have.
The table of all that was tried is in docs/resilience.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.archive import receipts
from connectors.archive.archive import Archive
from kpi_definitions.kept import SETTING
from pipelines.error_messages import message_for
from tests.support import runs
from tests.support.crashes import PLAY, Prepared, check, reader, spawn
from warehouse.errors import BusyError, StoreError
from warehouse.home import scratch
from warehouse.home.home import Home
from warehouse.store import sessions
from warehouse.store.sessions import writing

ROOT = Path(__file__).parents[2]
SIZES = (0.1, 0.3, 0.5, 1, 2, 4, 8, 16, 24, 32)  # MiB of room that is left
# the run of runs.py, and what went wrong in it in a sentence
TELL = """
import sys
from tests.support.runs import main
from pipelines.error_messages import message_for
try:
    main(sys.argv[1])
except Exception as error:
    said = message_for(error)
    if said is None:
        raise
    print(said, file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[float], Path]]:
    """Makes a file system with so many MiB left, beside what a home takes."""
    mounted: list[Path] = []

    def make(mib: float) -> Path:
        place = tmp_path / "disk"
        place.mkdir()
        done = subprocess.run(  # noqa: S603
            ["mount", "-t", "tmpfs", "-o", f"size={int(mib * 1024)}k", "tmpfs", str(place)],  # noqa: S607
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=False)  # noqa: S603, S607


def size_of(folder: Path) -> float:
    """MiB."""
    return sum(-(-p.stat().st_size // 4096) + 1 for p in folder.rglob("*")) * 4096 / (1 << 20)


@pytest.mark.slow
@pytest.mark.parametrize("room", SIZES)
def test_a_disk_that_is_full_at_any_moment(
    prepared: Prepared,
    tmp_path: Path,
    small_disk: Callable[[float], Path],
    room: float,
) -> None:
    disk = small_disk(size_of(prepared.root) + room)
    home = prepared.copy(disk / "home")
    with reader(home):
        child = spawn("-c", TELL, str(home.root), TMPDIR=str(disk))
        _, said = child.communicate()
        assert child.returncode in (0, 1), said
        if child.returncode == 1:
            assert "room" in said, said
            assert "Traceback" not in said
    whole_again = Home(shutil.copytree(home.root, tmp_path / "roomy"))
    check(whole_again, prepared)


@pytest.mark.slow
@pytest.mark.parametrize("limit", SIZES)
def test_files_that_may_not_grow(prepared: Prepared, tmp_path: Path, limit: float) -> None:
    """RLIMIT_FSIZE, where nothing can be mounted."""
    home = prepared.copy(tmp_path / "home")
    code = f"import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); " \
           f"resource.setrlimit(resource.RLIMIT_FSIZE, ({int(limit * (1 << 20))},) * 2)\n{TELL}"  # fmt: skip
    child = spawn("-c", code, str(home.root))
    _, said = child.communicate()
    assert child.returncode in (0, 1), said
    assert "Traceback" not in said
    check(home, prepared)


@pytest.mark.slow
def test_memory_that_is_short(prepared: Prepared, tmp_path: Path) -> None:
    home = prepared.copy(tmp_path / "home")
    for mib in (250, 400, 600):
        code = f"import resource\nimport tests.support.runs\nresource.setrlimit(resource.RLIMIT_DATA, ({mib << 20},) * 2)\n{TELL}"
        child = spawn("-c", code, str(home.root))
        _, said = child.communicate()
        assert child.returncode <= 1, said
        if child.returncode == 1:
            assert "memory" in said.lower(), said
    check(home, prepared)


def test_two_runs_at_once_take_turns(prepared: Prepared, tmp_path: Path) -> None:
    home = prepared.copy(tmp_path / "home")
    children = [spawn("-c", PLAY, str(home.root)) for _ in range(2)]
    for child in children:
        _, said = child.communicate()
        assert child.returncode == 0, said
    check(home, prepared)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("wait", "times"), [("deliveries,", 1), ("KPIs:", 1), ("KPIs:", 2)])
def test_a_run_stopped_at_the_command_line(
    prepared: Prepared,
    tmp_path: Path,
    sent: signal.Signals,
    wait: str,
    times: int,
) -> None:
    """While it takes in, or has computed; one sentence, and the exit code that says so. The next run does what is left."""
    home = prepared.copy(tmp_path / "home")
    child = spawn("-c", "from pipelines.cli import app; app()", "run", "--home", str(home.root))
    assert child.stdout is not None
    for line in child.stdout:
        if wait in line:
            break
    for _ in range(times):
        child.send_signal(sent)
        time.sleep(0.05)
    rest, said = child.communicate(timeout=300)
    assert child.returncode == 130, (said, rest)
    assert "Traceback" not in said
    assert said.count("stopped:") == 1
    again = spawn("-c", "from pipelines.cli import app; app()", "run", "--home", str(home.root))
    _, said = again.communicate()
    assert again.returncode == 0, said
    with writing(home) as opened:
        assert opened.con.execute("SELECT count(*) FROM audit.delivery WHERE state = 'received'").fetchone() == (0,)
        assert opened.con.execute("SELECT count(*) FROM showcase.fct_crash").fetchone() == (86,)


@pytest.mark.slow
def test_a_run_cancelled_in_the_dagster_ui(prepared: Prepared, tmp_path: Path) -> None:
    """What the UI's button does: the run's process is interrupted; the run is told as cancelled or failed, and the next one finishes."""
    home = prepared.copy(tmp_path / "home")
    code = """
import os, signal, sys, threading
from pathlib import Path
from pipelines import resources
from pipelines.run import prepare, run_months
from warehouse.home.home import Home
home = Home(Path(sys.argv[1]))
def stop(text):
    if "fct_crash:" in text:
        os.kill(os.getpid(), signal.SIGINT)  # as the launcher's terminate does
try:
    print([r.success for r in run_months(home, ["2025-12"], stop)])
except BaseException as error:
    print(type(error).__name__)
"""
    child = spawn("-c", code, str(home.root))
    said, wrong = child.communicate()
    assert "True" not in said, (said, wrong)
    assert "KeyboardInterrupt" in said, (said, wrong)
    with writing(home) as opened:  # nobody holds it
        assert opened.con.execute("SELECT count(*) FROM audit.delivery WHERE state = 'received'").fetchone() == (0,)
    with runs.unjudged():
        runs.finish(home)
    assert runs.says(home)["showcase.fct_crash"] == prepared.expected["showcase.fct_crash"]


def test_a_warehouse_that_somebody_looks_into_is_waited_for_and_then_named(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(home):
        pass
    hold = "import duckdb, sys, time; con = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(float(sys.argv[2]))"
    child = spawn("-c", hold, str(home.warehouse), "1.5")
    assert child.stdout is not None
    child.stdout.readline()
    with writing(home):  # it passes
        pass
    child.communicate()
    child = spawn("-c", hold, str(home.warehouse), "60")
    assert child.stdout is not None
    child.stdout.readline()
    monkeypatch.setattr(sessions, "HELD_SECONDS", 0.3)
    with pytest.raises(BusyError, match=r"held by another process.*close it there"), writing(home):
        pass
    child.kill()
    child.communicate()


def test_what_cannot_pass_is_not_tried_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def connect(*_: Any, **__: Any) -> Any:
        tries.append(1)
        raise duckdb.IOException("Could not write file: No space left on device")

    monkeypatch.setattr(sessions.duckdb, "connect", connect)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="No space left"), writing(home):
        pass
    assert len(tries) == 1


def test_a_fatal_error_of_the_database_drops_the_connection_and_is_told_by_its_name(home: Home) -> None:
    with pytest.raises(duckdb.FatalException, match="so it was") as caught, writing(home) as opened:  # noqa: PT012
        genuine = opened.con

        class Invalid:
            def execute(self, sql: str, *_: Any) -> Any:
                if sql == "ROLLBACK":
                    raise duckdb.FatalException("database has been invalidated because of a previous fatal error")
                return genuine.execute(sql, *_)

        opened.con = Invalid()  # type: ignore[assignment]
        with opened.transaction():
            genuine.execute("DELETE FROM registry.setting")
            raise duckdb.FatalException("FATAL Error: so it was")
    assert "fatal error" in str(message_for(caught.value))
    assert "so it was" in str(message_for(caught.value))
    with pytest.raises(duckdb.ConnectionException):
        genuine.execute("SELECT 1")
    with writing(home) as opened:
        assert opened.con.execute("SELECT count(*) FROM audit.ledger WHERE kind = 'schema'").fetchone() == (1,)


def as_user(code: str, *arguments: str, **more: str) -> tuple[int, str]:
    """Run code as somebody for whom the modes of files hold, which for root they do not. Returns exit code and what it said."""
    way: tuple[str, ...] = ()
    if os.getuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write anything, and there is no setpriv to take that from it")
        way = (setpriv, "--bounding-set=-dac_override,-dac_read_search")
    child = spawn("-c", code, *arguments, way=way, **more)
    said, wrong = child.communicate()
    return child.returncode, said + wrong


@pytest.fixture
def read_only(prepared: Prepared, tmp_path: Path) -> Iterator[Home]:
    """A home in which nothing may be written."""
    home = prepared.copy(tmp_path / "home")
    paths = [*home.root.rglob("*"), home.root]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield home
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_home_that_may_only_be_read(read_only: Home, tmp_path: Path) -> None:
    """Of any command: one process runs them all, and tells of each how it ended and what it said."""
    file = tmp_path / "extract.csv"
    file.write_text(runs.accidents(1, 1))
    given = {"deliver": [str(file), "-t", "fct_crash", "-p", "2025", "-s", "710000000"], "assess": ["2025"]}
    commands = [[name, *given.get(name, [])] for name in ("status", "verify", "incidents", "deliver", "assess")]
    code, printed = as_user(
        "import json; from pipelines.cli import app; from typer.testing import CliRunner; "
        f"ended = [CliRunner().invoke(app, words) for words in {commands!r}]; "
        "print(json.dumps([(one.exit_code, one.output, repr(one.exception)) for one in ended]))",
        QALA_HOME=str(read_only.root),
    )
    assert code == 0, printed
    for (name, *_), (code, said, error) in zip(commands, json.loads(printed), strict=True):
        assert code in (0, 1), (name, said, error)
        assert "Traceback" not in said
        assert "fault of qala" not in said
        if name in given:
            assert code == 1
            assert "Permission denied" in said or "not permitted" in said


def test_an_archived_file_that_may_not_be_read_ends_the_run_by_its_name_and_refuses_nothing(
    home: Home, tmp_path: Path
) -> None:
    archive = Archive(home.archive)
    runs.receive(archive, tmp_path / "outbox", runs.accidents(1, 5))
    path = archive.path(archive.pending()[0].sha256)
    path.chmod(0)
    code, said = as_user(TELL, str(home.root))
    assert code == 1, said
    assert str(path) in said
    assert "not permitted" in said
    path.chmod(0o444)
    with runs.unjudged():
        runs.play(home)
    with writing(home) as opened:
        assert opened.con.execute("SELECT state FROM audit.delivery").fetchall() == [("loaded",)]


def test_a_publication_stopped_before_its_last_step_is_done_by_the_next(prepared: Prepared, tmp_path: Path) -> None:
    """Its new files lie there, closed to writing: root would not notice."""
    home = prepared.copy(tmp_path / "home")
    left = [home.release / f".{name}.new" for name in ("release.json", "qala.duckdb", "kpi_values.csv")]
    for path in left:
        path.write_text("{}")
        path.chmod(0o444)
    code, said = as_user("import sys; from pathlib import Path; from warehouse.home.home import Home; from warehouse.release.release import publish; "
                         "publish(Home(Path(sys.argv[1])), lambda _: [])", str(home.root))  # fmt: skip
    assert code == 0, said
    assert not [path for path in left if path.exists()]


@pytest.mark.parametrize("harm", ["gone", "cut", "other bytes"])
def test_an_archived_file_gone_or_damaged_before_its_load_is_named_and_delivered_again(
    home: Home, tmp_path: Path, harm: str
) -> None:
    """Never loaded as something else; the others are."""
    archive = Archive(home.archive)
    runs.receive(archive, tmp_path / "outbox", runs.accidents(1, 5))
    runs.receive(archive, tmp_path / "outbox", runs.accidents(100, 5), period="2025-03", scope="750000000")
    lost = archive.path(archive.pending()[0].sha256)
    lost.chmod(0o644)
    if harm == "gone":
        lost.unlink()
    else:
        lost.write_bytes(
            lost.read_bytes()[:40] if harm == "cut" else archive.path(archive.pending()[1].sha256).read_bytes()
        )
    with runs.unjudged():
        runs.play(home)
    with writing(home) as opened:
        rows = opened.con.execute("SELECT state, reason FROM audit.delivery ORDER BY delivery_id").fetchall()
        assert [row[0] for row in rows] == ["refused", "loaded"]
        assert lost.stem in str(rows[0][1])
        assert opened.con.execute("SELECT DISTINCT kato FROM showcase.fct_crash").fetchall() == [("750000000",)]


def test_a_clock_that_is_set_back_changes_no_order(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(home.archive)
    first = runs.receive(archive, tmp_path / "outbox", runs.accidents(1, 5))
    genuine = receipts.next_moment
    monkeypatch.setattr(receipts, "next_moment", lambda folder, now: genuine(folder, now.replace(year=now.year - 3)))
    second = runs.receive(archive, tmp_path / "outbox", runs.accidents(1, 3))
    monkeypatch.undo()
    assert first < second
    with runs.unjudged():
        runs.play(home)
    with writing(home) as opened:
        assert opened.con.execute("SELECT count(*) FROM showcase.fct_crash").fetchone() == (3,), "the later one holds"


def test_what_a_killed_run_unpacked_goes_and_what_a_living_one_is_at_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import os, signal, sys, tempfile, time; tempfile.tempdir = sys.argv[1]; from warehouse.home import scratch\n" \
           "with scratch.scratch() as place:\n    (place / 'extract').write_text('rows'); print(place, flush=True); time.sleep(60)"  # fmt: skip
    children = [spawn("-c", code, str(tmp_path)) for _ in range(2)]
    places = [Path(child.stdout.readline().strip()) for child in children if child.stdout is not None]
    children[0].kill()
    children[0].communicate()
    for place in places:
        os.utime(place, (time.time() - 120,) * 2)
    other = tmp_path / "qala-of-an-older-version"
    other.mkdir()
    with scratch.scratch() as mine:
        assert [place.exists() for place in places] == [False, True]
        assert mine.is_dir()
        assert other.is_dir()
    assert not mine.exists()
    children[1].kill()
    children[1].communicate()


def test_what_the_database_spilled_before_it_was_killed_is_swept(home: Home) -> None:
    with writing(home):
        pass
    spilled = home.warehouse.with_name("warehouse.duckdb.tmp")
    spilled.mkdir()
    (spilled / "duckdb_temp_storage-0.tmp").write_bytes(b"x" * 1000)
    with writing(home):
        assert not (spilled / "duckdb_temp_storage-0.tmp").exists()


def test_a_temporary_folder_that_is_not_there_or_full_ends_the_run_by_its_name(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "0")  # with views that are kept no run needs one
    runs.receive(Archive(home.archive), tmp_path / "outbox", runs.accidents(1, 5))
    child = spawn("-c", f"import tempfile; tempfile.tempdir = '/proc/nowhere'\n{TELL}", str(home.root))
    _, said = child.communicate()
    assert child.returncode == 1, said
    assert "/proc/nowhere" in said
    assert "Traceback" not in said
    with runs.unjudged():
        runs.play(home)
    assert Archive(home.archive).pending() == []


def test_what_is_told_of_a_refused_parquet_file_has_no_path_of_this_machine(home: Home, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"crash_id": ["C1"]}), file)
    good = file.read_bytes()
    archive, outbox = Archive(home.archive), tmp_path / "outbox"
    outbox.mkdir()
    for n, content in enumerate(
        (good[:40] + good[-8:], good[:-8] + b"\xff\xff\xff\x7fPAR1", b"PAR1" + b"\0" * 50 + b"PAR1", good)
    ):
        (outbox / f"{n}.parquet").write_bytes(content)
        archive.receive(outbox / f"{n}.parquet", table="fct_crash", system="standard", scope="710000000", period="2025")
    with runs.unjudged():
        runs.play(home)
    with writing(home) as opened:
        reasons = [
            r[0] for r in opened.con.execute("SELECT reason FROM audit.delivery ORDER BY delivery_id").fetchall()
        ]
    assert len([r for r in reasons if r]) == 4
    assert not [r for r in reasons if re.search(r"qala-|/tmp", r)], reasons
