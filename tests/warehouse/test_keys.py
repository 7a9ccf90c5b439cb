"""Keys: read from file or environment, never from a file others may read, and kept when a new one is made."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from warehouse.home import keys
from warehouse.home.home import Home


@pytest.fixture(autouse=True)
def no_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for purpose in keys.PURPOSES:
        monkeypatch.delenv(keys.variable(purpose), raising=False)


def test_a_new_key_is_in_force_and_the_former_one_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert keys.current(home, "pseudonym") is None
    first, second = keys.make(home, "pseudonym"), keys.make(home, "pseudonym")
    assert keys.current(home, "pseudonym") == second
    assert keys.by_id(home, "pseudonym", first.id) == first
    path = keys.file_of(home, "pseudonym")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert keys.current(home, "archive") is None


def test_a_key_of_the_environment_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    kept = keys.make(home, "signing")
    monkeypatch.setenv("QALA_SIGNING_KEY", base64.b64encode(b"k" * 32).decode())
    key = keys.current(home, "signing")
    assert key is not None
    assert key.secret == b"k" * 32
    assert keys.by_id(home, "signing", kept.id) == kept


def test_the_same_bytes_are_another_key_for_another_purpose_and_another_use() -> None:
    one, other = keys.Key.of("pseudonym", b"k" * 32), keys.Key.of("archive", b"k" * 32)
    assert one.id != other.id
    assert len({one.derived("iin"), one.derived("phone"), other.derived("iin")}) == 3
    assert "kkk" not in repr(one)


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(b"k" * 31).decode(), "ключ", "k" * 44 + "!"])
def test_what_is_no_key_is_told_with_its_line(text: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    kept = keys.make(home, "archive")
    path = keys.file_of(home, "archive")
    path.write_text(path.read_text() + text, encoding="utf-8")
    if not text:
        assert keys.current(home, "archive") == kept
        return
    with pytest.raises(keys.MissingKeyError, match=r"archive\.key"):
        keys.current(home, "archive")
    with pytest.raises(keys.MissingKeyError):
        keys.make(home, "archive")


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    keys.make(home, "archive")
    keys.file_of(home, "archive").chmod(0o640)
    with pytest.raises(keys.MissingKeyError, match="chmod 600"):
        keys.current(home, "archive")


def test_a_key_that_is_not_there_is_told_with_what_makes_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(keys.MissingKeyError, match="qala keys new pseudonym"):
        keys.needed(home, "pseudonym", "fct_social_case has personal columns")
    with pytest.raises(keys.MissingKeyError, match="0123456789abcdef"):
        keys.by_id(home, "pseudonym", "0123456789abcdef")
