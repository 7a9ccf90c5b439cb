"""Fixtures that every test may use. Helpers are in `tests/support/`."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.homes import new_home, share_template, shared_folder
from tests.support.rows import empty
from tests.support.sentences import foreign_words
from warehouse.audit.reperform import reperform
from warehouse.home.home import Home
from warehouse.store.sentences import differing_sentences
from warehouse.store.sessions import writing
from warehouse.store.store import Store

# nobody's key: homes of tests are many, and most are asked for one sooner or later
os.environ["QALA_PSEUDONYM_KEY"] = base64.b64encode(b"a key for tests and nobody else.").decode()
os.environ["QALA_CACHE"] = "0"  # until there is a folder for all workers
os.environ["COLUMNS"] = (
    "200"  # rich reads it once, when the command line is imported: tables are as wide in every worker
)


# by processor time, the longest first: begun last, the other workers would wait for it
LONGEST = (
    "test_insider.py", "test_end_to_end.py", "test_readers.py", "test_rebuild.py", "test_verify.py", "test_recipe_pages.py", "test_ingest.py",
    "test_sandbox.py", "test_crash.py", "test_golden.py", "test_error_messages.py", "test_moments.py", "test_faults.py", "test_encryption.py",
    "test_home_tables.py", "test_pull.py", "test_trial.py", "test_languages.py",
    "test_evidence.py", "test_machine.py", "test_assistant.py", "test_assistant_server.py",
    "test_engines_agree.py", "test_engine_command.py", "test_measured_elsewhere.py", "test_engine_runs.py", "test_engine_try.py", "test_showcase_files.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take file after file: the longest come first, then those with the most tests."""
    tests = Counter(item.path for item in items)
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (rank.get(item.path.name, len(rank)), -tests[item.path], item.path))


@pytest.fixture(scope="session", autouse=True)
def template(tmp_path_factory: pytest.TempPathFactory) -> None:
    share_template(tmp_path_factory)
    os.environ["QALA_CACHE"] = str(shared_folder() / "kept")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty installation."""
    return new_home(tmp_path / "home")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One open warehouse for all tests of a module."""
    with writing(new_home(tmp_path_factory.mktemp("warehouse"))) as store:
        store.con.execute("SET threads = 1")  # so few rows are not worth a second one
        yield store


@pytest.fixture
def store(opened: Store) -> Store:
    """The module's warehouse with nothing in it; a module with an `opened` of its own gets that."""
    empty(opened)
    return opened


@pytest.fixture
def made_again(store: Store) -> Iterator[None]:
    """After the test everything it published, restated or not, is made again and must come out equal; its reasons have their sentences."""
    yield
    assert list(differing_sentences(store.con)) == []
    messages = [
        text
        for (text,) in store.con.execute("SELECT message FROM registry.message WHERE code LIKE 'reason.%'").fetchall()
    ]
    assert [(text, found) for text in messages for one in ("ru", "kk") if (found := foreign_words(text, one))] == []
    result = reperform(store, earlier=True)
    assert result.differences == []
    assert not any(result.differing.values())
