"""A machine that does to a home what people, systems and crashes do, in any order, beside a model in plain Python.

The model of which rows stand is that of test_load_history.py, written from adr/0004 and adr/0020 alone; here it is fed through the archive,
the first gate, the loading door and the computation, with deliveries of all kinds, withdrawals, mended contracts and processes that end at
any moment that has a name. Judging is left out: it writes nothing.

At night the warehouse is also made anew from the archive, which changes nothing of the model.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.reread import request_reread
from kpi_definitions.catalogue import Catalogues, load_catalogues
from kpi_definitions.model import Grain
from pipelines.cli import app
from pipelines.recovery import replay
from pipelines.recovery.rebuild import rebuild
from tests.support import runs
from tests.support.files import contract_text
from tests.support.history_model import OCCURRED, Model, Sent
from tests.support.homes import new_home
from tests.support.rows import changed, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse import moments
from warehouse.home.home import Home
from warehouse.periods import parse_period
from warehouse.release.release import publish
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

CRASH, REGISTER = "fct_crash", "dim_information_system"
PEOPLE = {ASTANA: 1000, ALMATY: 4000}
KATOS = {"KZ": (ASTANA, ALMATY), ASTANA: (ASTANA,), ALMATY: (ALMATY,)}
MONTHS = ("2026-01", "2026-02", "2026-03")
PERIODS = (*MONTHS, "2026-Q1", "2026-01/2026-02")
KEYS = ("k1", "k2", "feb", "mar")
# by system: complete extracts by the standard format and by a contract that is mended, and extracts of changes
SYSTEMS = ("standard", "mended", "changes")
# moments of intake and computation; what is after them, test_moments.py tries
ENDS = [
    n
    for n in moments.NAMES
    if n.partition(".")[0] in ("archive", "receipt", "file", "register", "load", "compute", "withdrawal", "ledger")
]


class EndedError(BaseException):
    """The process is gone."""


@cache
def catalogue() -> Catalogues:
    """Deaths by population, by months."""
    one = only(load_catalogues(), "SAF04-1")
    return changed(one, one.latest("SAF04-1").model_copy(update={"period": Grain.MONTH}))


def contract(system: str, add: int = 0, version: str = "1.0.0") -> str:
    """Of a system's extracts of crashes; `add`: what it makes of the number of deaths."""
    columns = "".join(
        f"      - {{name: {n}, physicalName: {n}}}\n" for n in ("kato", "crash_id", "occurred_at", "district_id")
    )
    columns += f"      - {{name: deaths_30d, transformSourceObjects: [deaths_30d], transformLogic: 'CAST(deaths_30d AS INTEGER) + {add}'}}\n"
    columns += "      - {name: injured, physicalName: injured}\n"
    kind = {"delivery": "changes" if system == "changes" else "complete"}
    return contract_text(system, CRASH, columns, settings=kind).replace("version: 1.0.0", f"version: {version}")


@cache
def template() -> Path:
    """A home in which the population stands, with the contracts of two systems."""
    root = Path(tempfile.mkdtemp(prefix="qala-machine-"))
    home = new_home(root / "home")
    home.contracts.mkdir()
    for system in SYSTEMS[1:]:
        (home.contracts / f"{system}.odcs.yaml").write_text(contract(system))
    for kato, people in PEOPLE.items():
        rows = "".join(f"2026-0{n}-01,{people},x\n" for n in (2, 3, 4))
        text = f"as_of_date,population,count_source\n{rows}"
        runs.receive(Archive(home.archive), root / "outbox", text, "dim_population", kato, "2026-Q1")
    run(home)
    return home.root


def run(home: Home) -> None:
    """What a run does, up to the release."""
    with runs.unjudged():
        runs.take_in_and_compute(home, (*runs.TABLES, REGISTER), MONTHS, catalogue())


@dataclass
class Waiting:
    """A delivery that was acknowledged and not decided on, as far as the model knows."""

    receipt_id: str
    table: str
    told: Sent
    sha256: str
    broken: int  # rows that cannot be read
    whole: bool  # whether the file can be read


@dataclass
class Known:
    """What the model remembers of a decided delivery."""

    table: str
    told: Sent
    sha256: str
    version: int


class Machine(RuleBasedStateMachine):
    """Rules are what happens; what must hold is checked whenever a run came to its end."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="qala-machine-"))
        self.home = Home(shutil.copytree(template(), self.folder / "home"))
        self.archive = Archive(self.home.archive)
        self.models = {CRASH: Changes(CRASH), REGISTER: Changes(REGISTER)}
        self.waiting: list[Waiting] = []
        self.order: list[Known] = []  # what was loaded, in the order of loading
        self.states: dict[str, str] = {}  # by receipt
        self.version, self.clean, self.files, self.to_reread = 1, True, 0, False

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                self.run_whole()
                if self.files % 3 == 0:  # a third of an example's time
                    publish(self.home, self.archive.missing)
                    done = CliRunner().invoke(app, ["verify", "--home", str(self.home.root)])
                    assert done.exit_code == 0, done.output
            finally:
                shutil.rmtree(self.folder)

    # ---- what happens

    @rule(data=st.data(), system=st.sampled_from(SYSTEMS), scope=st.sampled_from(list(KATOS)), period=st.sampled_from(PERIODS),
          broken=st.sampled_from([0, 0, 0, 1]), readable=st.sampled_from([True] * 5 + [False]), end=st.none() | st.sampled_from(ENDS[:10]))  # fmt: skip
    def deliver(
        self, data: st.DataObject, system: str, scope: str, period: str, broken: int, readable: bool, end: str | None
    ) -> None:
        span = parse_period(period)
        told = [k for k in KEYS if day(k) < span.end]
        rows = data.draw(
            st.dictionaries(
                st.tuples(st.sampled_from(KATOS[scope]), st.sampled_from(told)), st.integers(0, 3), max_size=4
            )
        )
        if rows and not any(
            day(key) >= span.start for _, key in rows
        ):  # none of its own days: it would be refused as another month's
            rows |= {(KATOS[scope][0], own): 1 for own in told if day(own) >= span.start}
        self.bring(CRASH, Sent(rows, scope, period, system), broken if rows else 0, readable, end)

    @rule(data=st.data(), scope=st.sampled_from(list(KATOS)), period=st.sampled_from(PERIODS))
    def deliver_register(self, data: st.DataObject, scope: str, period: str) -> None:
        """A snapshot: what it no longer has at that day, is gone of that day."""
        keys = st.tuples(st.sampled_from(KATOS[scope]), st.sampled_from(KEYS))
        rows = data.draw(st.dictionaries(keys, st.integers(0, 3), max_size=3))
        self.bring(REGISTER, Sent(rows, scope, period, "standard"), 0, True, None)

    @precondition(lambda self: self.order or self.waiting)
    @rule(data=st.data())
    def deliver_the_same_bytes(self, data: st.DataObject) -> None:
        known: Any = data.draw(st.sampled_from([*self.order[-4:], *self.waiting[-2:]]))
        file = self.folder / "bytes" / known.sha256
        self.receive(known.table, known.told, file, getattr(known, "broken", 0), getattr(known, "whole", True), None)

    @precondition(lambda self: self.waiting and self.clean)
    @rule(data=st.data(), ends=st.booleans())
    def withdraw(self, data: st.DataObject, ends: bool) -> None:
        one = data.draw(st.sampled_from(self.waiting))
        with Ending("withdrawal.noted" if ends else None):
            self.archive.withdraw(one.receipt_id, "A. Person", "wrong")
        self.waiting.remove(one)
        self.states.pop(one.receipt_id)

    @precondition(lambda self: self.clean and not self.waiting)
    @rule(end=st.none() | st.sampled_from(ENDS))
    def mend_a_contract_and_reread(self, end: str | None) -> None:
        """Whatever the system's deliveries in force were read as, they are read by the new version, in their places."""
        self.version += 1
        text = contract("mended", self.version - 1, f"{self.version}.0.0")
        (self.home.contracts / "mended.odcs.yaml").write_text(text)
        if not any(k.told.system == "mended" for k in self.order):
            return
        with writing(self.home) as store:
            request_reread(store, store.tables, system="mended", table=CRASH, period=None)
        self.to_reread = True
        self.run_until(end, 1)

    @rule(end=st.none() | st.sampled_from(ENDS), times=st.integers(1, 3))
    def run(self, end: str | None, times: int) -> None:
        self.run_until(end, times)

    # ---- how

    def bring(self, table: str, told: Sent, broken: int, readable: bool, end: str | None) -> None:
        text = content(table, told, broken) if readable else f"nonsense {self.files}\n"
        digest = hashlib.sha256(text.encode()).hexdigest()
        file = self.folder / "bytes" / digest
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())
        self.files += 1
        self.receive(table, told, file, broken, readable, end)

    def receive(self, table: str, told: Sent, file: Path, broken: int, readable: bool, end: str | None) -> None:
        before = {r.receipt_id for r in self.archive.pending()}
        with Ending(end):
            self.archive.receive(file, table=table, system=told.system, scope=told.scope, period=told.period)
        # one that ended may have been written down before it could be acknowledged: then it is delivered
        for receipt_id in {r.receipt_id for r in self.archive.pending()} - before:
            self.waiting.append(Waiting(receipt_id, table, told, file.name, broken, readable))
            self.states[receipt_id] = "waiting"

    def run_until(self, end: str | None, times: int) -> None:
        ending = Ending(end, times)
        with ending:
            run(self.home)
        if ending.ended:
            self.clean = False
            self.nothing_is_lost()
        else:
            self.decide()

    def run_whole(self) -> None:
        run(self.home)
        self.decide()

    def decide(self) -> None:
        """What the run has decided, as the documents say it."""
        if self.to_reread:
            self.read_again()
        for one in self.waiting:
            if not one.whole:
                self.states[one.receipt_id] = "refused"
            elif self.repeated(one):
                self.states[one.receipt_id] = "duplicate"
            else:
                self.states[one.receipt_id] = "loaded"
                self.order.append(Known(one.table, one.told, one.sha256, self.version))
                self.models[one.table].sent.append(self.read(one.told))
        self.waiting, self.clean = [], True
        self.check()

    def read(self, told: Sent) -> Sent:
        """As the contract of its system reads it now."""
        add = self.version - 1 if told.system == "mended" else 0
        return told._replace(rows={place: value + add for place, value in told.rows.items()})

    def read_again(self) -> None:
        sent = self.models[CRASH].sent
        slices = {place(one): n for n, one in enumerate(sent) if one.system == "mended"}
        for where, n in slices.items():
            known = next(k for k in reversed(self.order) if k.table == CRASH and place(k.told) == where)
            sent[n] = self.read(known.told)
            self.order.append(Known(CRASH, known.told, known.sha256, self.version))
        self.to_reread = False

    def repeated(self, one: Waiting) -> bool:
        """The same bytes of the same slice, by the same version of the contract, and nothing that meets it has come since."""
        meeting = [k for k in self.order if k.table == one.table and meets(k.told, one.told)]
        if not meeting:
            return False
        last = meeting[-1]
        same = place(last.told) == place(one.told) and last.sha256 == one.sha256
        return same and (one.told.system != "mended" or last.version == self.version)

    # ---- what must hold

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every delivery that was acknowledged has its receipt waiting, or was decided on."""
        if not hasattr(self, "folder"):
            return
        there = {r.receipt_id for r in self.archive.pending()}
        lost = [one.receipt_id for one in self.waiting if one.receipt_id not in there]
        if lost:
            assert not self.clean
            with writing(self.home) as store:
                known = dict(store.con.execute("SELECT receipt_id, state FROM audit.delivery").fetchall())
            assert all(known.get(receipt_id, "received") != "received" for receipt_id in lost)

    def check(self) -> None:
        assert self.archive.pending() == []
        with writing(self.home) as store:
            decided = store.con.execute(
                "SELECT receipt_id, state, received_rows, accepted_rows, rejected_rows FROM audit.delivery "
                "WHERE table_name <> 'dim_population' AND reread_of IS NULL AND state <> 'withdrawn'"
            ).fetchall()
            found = {row[0]: row[1] for row in decided}
            assert found == self.states, f"{found} and not {self.states}"
            assert len(decided) == len(self.states)
            assert all(received == accepted + rejected for _, _, received, accepted, rejected in decided)
            crashes = store.con.execute(
                "SELECT c.kato, crash_id, deaths_30d, d.system FROM showcase.fct_crash c JOIN audit.delivery d USING (delivery_id) ORDER BY ALL"
            ).fetchall()
            expected = self.models[CRASH].rows()
            assert crashes == expected, f"{crashes} and not {expected}"
            register = store.con.execute(
                "SELECT r.kato, system_id, snapshot_date, CAST(name AS INTEGER), d.system FROM showcase.dim_information_system r "
                "JOIN audit.delivery d USING (delivery_id) ORDER BY ALL"
            ).fetchall()
            assert register == self.models[REGISTER].rows()
            values = {(kato, month): value for kato, month, value in store.con.execute(
                "SELECT kato, period_id, value FROM kpi.value WHERE valid_to_seq IS NULL").fetchall()}  # fmt: skip
        self.check_values(values)

    def check_values(self, values: dict[tuple[str, str], float | None]) -> None:
        """Deaths of a month's rows by population. Where the register is delivered, or a file was refused, that may be a reason for none."""
        doubted = any(k.table == REGISTER for k in self.order) or "refused" in self.states.values()
        for kato, people in PEOPLE.items():
            for month in MONTHS:
                span = parse_period(month)
                rows = [r for r in self.models[CRASH].rows() if r[0] == kato and span.start <= day(r[1]) < span.end]
                value, expected = values[kato, month], round(100_000 * sum(r[2] for r in rows) / people, 6)
                delivered = any(k.table == CRASH and kato in KATOS[k.told.scope] and month in parse_period(k.told.period).months
                                for k in self.order)  # fmt: skip
                if not delivered:
                    assert value is None
                elif rows and not doubted:
                    assert value == expected
                else:
                    assert value in (None, expected)


class Night(Machine):
    """The machine, and with it what takes too long for the day."""

    @precondition(lambda self: self.clean and not self.waiting and self.order)
    @rule()
    def rebuild(self) -> None:
        with runs.unjudged(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(replay, "load_catalogues", lambda _: catalogue())
            patch.setattr(replay, "refuse_faulty", lambda *_: None)  # it is no whole list
            # what was read by a contract that was mended since cannot be read so again: its history differs, and is told
            done = rebuild(self.home, accept=self.version > 1)
        assert done.before is not None
        assert done.in_place
        assert done.before.sha256 == done.after.sha256, done
        assert self.version > 1 or (done.differing, done.told) == ({}, ()), done
        self.run_whole()


class Changes(Model):
    """The model, and with it what adr/0020 says of extracts of changes: they take nothing away."""

    def takes(self, later: Sent, earlier: Sent, kato: str, key: str) -> bool:
        return later.system != "changes" and super().takes(later, earlier, kato, key)


@dataclass
class Ending:
    """Ends what is done inside it at a moment, when it is come to for the n-th time; None: not."""

    moment: str | None
    times: int = 1
    ended: bool = field(default=False)

    def __enter__(self) -> None:
        moments.look = self.come if self.moment else None

    def come(self, moment: str) -> None:
        if moment == self.moment:
            self.times -= 1
            if self.times == 0:
                raise EndedError(moment)

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        moments.look = None
        self.ended = isinstance(error, EndedError)
        return self.ended


def content(table: str, told: Sent, broken: int) -> str:
    """A file of the rows; of the country with a column of settlements."""
    if table == CRASH:
        names = ["crash_id", "occurred_at", "district_id", "deaths_30d", "injured"]
        rows = [(kato, key, f"{day(key)} 10:00:00", "D1", str(value), "0") for (kato, key), value in told.rows.items()]
        rows += [(KATOS[told.scope][0], f"b{n}", "no day", "D1", "1", "0") for n in range(broken)]
    else:
        columns = load_tables()[REGISTER].columns
        names, rows = [c.name for c in columns], []
        for (kato, key), value in told.rows.items():
            cells = {
                "system_id": key,
                "name": str(value),
                "mio_code": "m",
                "origin": "OWN",
                "commissioned_at": "2020-01-01",
            }
            rows.append((kato, *(cells.get(name, "") for name in names)))  # type: ignore[arg-type]
    return "".join(",".join(cells) + "\n" for cells in [("kato", *names), *rows])


def day(key: str) -> dt.date:
    return OCCURRED.get(key, dt.date(2026, 1, 1))


def place(told: Sent) -> tuple[str, str, str]:
    return told.system, told.scope, parse_period(told.period).id


def meets(one: Sent, other: Sent) -> bool:
    """Same system, and some territory and days in common."""
    here, there = parse_period(one.period), parse_period(other.period)
    lands = set(KATOS[one.scope]) & set(KATOS[other.scope])
    return one.system == other.system and bool(lands) and here.start < there.end and there.start < here.end


def play(machine: type[Machine], examples: int, **how: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=6,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **how,
            phases=[Phase.generate, *([Phase.shrink] if os.environ.get("QALA_TEST_SHRINK") else [])],
        ),
    )


def test_whatever_happens_in_any_order_the_model_tells_what_stands() -> None:
    play(Machine, 30, derandomize=True, database=None)  # the same ones each time; others at night


@pytest.mark.slow
def test_whatever_happens_in_any_order_500_times() -> None:
    play(Night, 500)
