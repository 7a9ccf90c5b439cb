"""The home that tests of ended and disturbed runs start from."""

from __future__ import annotations

import shutil
import time
from collections import Counter

import pytest

from tests.support import runs
from tests.support.crashes import FIRST, WITHDRAWAL, Prepared
from warehouse import moments
from warehouse.home.home import Home


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Made with every moment noted that is come to on the way."""
    folder, reached = tmp_path_factory.mktemp("moments"), Counter[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "look", lambda name: reached.update([name]))
        runs.prepare(folder / "home")
        assert reached.keys() >= FIRST | WITHDRAWAL
        reached.clear()
        done = Home(shutil.copytree(folder / "home", folder / "done"))
        started = time.monotonic()
        with runs.unjudged():
            runs.play(done)
        seconds = time.monotonic() - started
    expected = runs.says(done)
    assert sorted(expected["deliveries"].values()) == [1] * 10
    assert Counter(row[6] for row in expected["deliveries"]) == {"loaded": 8, "duplicate": 1, "refused": 1}
    assert any(row[4] for row in expected["kpi.value"]), "no value was calculated: nothing is compared"
    return Prepared(folder / "home", expected, reached, seconds)
