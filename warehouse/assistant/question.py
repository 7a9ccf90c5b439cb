"""One question to one release: opened for it alone, within limits of time, with the evidence that its answer carries.

A question opens the released file, and closes it when it is answered: whoever asks next gets the newest release, and no answer mixes
two. Does not belong here: what is asked (tools.py and the modules it names).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb

from kpi_definitions.catalogue import Catalogues
from warehouse.assistant.shapes import CatalogueStatus, Evidence
from warehouse.audit.registered import registered_catalogue
from warehouse.errors import BusyError
from warehouse.home.home import Home
from warehouse.messages.messages import language_of, rendered, sentence
from warehouse.store.ledger import ledger_head
from warehouse.store.sessions import reading
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST
from warehouse.tables.obs_status import ObsStatus

SECONDS = 30.0  # for which a question may read, and for which it waits for the one before it
ROWS = 100  # rows of one answer at most
_AGAIN_SECONDS = 0.2
# one at a time: a file that is open in this process is, to DuckDB, the file that was there when it was opened
_one_at_a_time = threading.Lock()
_definitions: dict[tuple[int, str], Catalogues] = {}  # of the newest release asked, by its ledger head


class AnswerError(LookupError):
    """There is no answer, in a sentence of the asked language: what was asked for does not exist, or it takes too long."""


@dataclass(frozen=True)
class Question:
    """An open release and the language to answer in."""

    store: Store
    language: str

    def said(self, code: str, **parts: Any) -> str:
        """The sentence of a message of this room; `code` without its subject."""
        return sentence(f"assistant.{code}", self.language, **parts)

    def refuse(self, code: str, **parts: Any) -> AnswerError:
        return AnswerError(self.said(code, **parts))

    def name(self, row: Mapping[str, Any], of: str = "name") -> str:
        """A name of a row in the asked language: of `<of>_kk`, `<of>_ru`, `<of>_en`; English, where that language has none."""
        return str(row.get(f"{of}_{self.language}") or row[f"{of}_en"])

    def reason(self, row: Mapping[str, Any]) -> str | None:
        """Why a value is not there, or is marked: of a view by its sentences, of a table by what is recorded."""
        if "reason" in row:
            return rendered(row["reason"], self.language)
        text = row[f"reason_{self.language}"]
        return None if text is None else str(text)

    def state(self, obs_status: str) -> str:
        return self.name(self._states[obs_status])

    @cached_property
    def _states(self) -> dict[str, dict[str, Any]]:
        return {row["obs_status"]: row for row in self.store.select("SELECT * FROM registry.obs_status")}

    @cached_property
    def head(self) -> tuple[int, str]:
        return ledger_head(self.store.con)

    @cached_property
    def definitions(self) -> Catalogues:
        """The lists as the release has them: no file of the home is read."""
        if self.head not in _definitions:
            ids = [str(one["catalogue_id"]) for one in self._catalogues]
            lists = (registered_catalogue(self.store, one, self.head[0]) for one in ids)
            _definitions.clear()  # those of the former release
            _definitions[self.head] = Catalogues(tuple(one for one in lists if one is not None))
        return _definitions[self.head]

    @cached_property
    def _catalogues(self) -> list[dict[str, Any]]:
        return self.store.select("SELECT * FROM registry.catalogue ORDER BY catalogue_id")

    def evidence(self, *lines: str) -> Evidence:
        """What shows that an answer is of this release; `lines`: commands that make it again."""
        seq, digest = self.head
        released = self.store.select("SELECT recorded_at FROM audit.ledger WHERE seq = ?", [seq])
        return Evidence(
            release=seq,
            released_at=released[0]["recorded_at"],
            ledger_head=f"{seq}:{digest}",
            file_sha256=self._file_sha256(),
            catalogues=[
                CatalogueStatus(
                    id=one["catalogue_id"],
                    name=self.name(one),
                    version=one["catalogue_version"],
                    status=one["catalogue_status"],
                    standing=self.said(f"catalogue_{one['catalogue_status']}"),
                )
                for one in self._catalogues
            ],
            again=list(lines),
        )

    def _file_sha256(self) -> str | None:
        """SHA-256 of the released file by its manifest; None while the manifest is another release's, or gone."""
        file = self.store.home.released_file
        try:
            said = json.loads((self.store.home.release / MANIFEST).read_text(encoding="utf-8"))
            same = (said["seq"], said["ledger_head"]) == self.head
            return str(said["sha256"][file.name]) if same else None
        except (OSError, ValueError, TypeError, KeyError):
            return None


def withheld(row: Mapping[str, Any]) -> bool:
    """Whether a row's figures stay inside: suppressed, or of a restricted KPI that has a value. `row`: obs_status, sensitivity."""
    status = row["obs_status"]
    if status is None:
        return bool(row["sensitivity"] == "restricted")
    return status == ObsStatus.SUPPRESSED or (row["sensitivity"] == "restricted" and ObsStatus(status).has_value)


@contextmanager
def asking(home: Home, language: str | None = None, seconds: float = SECONDS) -> Iterator[Question]:
    """A question to the newest release. Raises AnswerError if it takes too long, StoreError if there is no release, LanguageError."""
    spoken = language_of(language)
    if not _one_at_a_time.acquire(timeout=seconds):
        raise BusyError(sentence("assistant.busy", spoken, seconds=round(seconds)))
    try:
        with reading(home) as store, _within(store.con, seconds):
            yield Question(store, spoken)
    except duckdb.InterruptException as error:
        raise AnswerError(sentence("assistant.too_long", spoken, seconds=round(seconds))) from error
    finally:
        _one_at_a_time.release()


@contextmanager
def _within(con: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt whatever a connection does when its time is over, the next statement too."""
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            con.interrupt()
            while not done.wait(_AGAIN_SECONDS):
                con.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
