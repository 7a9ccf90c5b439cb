"""A secret is read where a settings file says, and no text shows it."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.sources.secrets import HIDDEN, Reference, Secret, Secrets
from connectors.sources.source import SourceError

WORD = "pa55 wörd'\"%\\&<x>"


def _secrets(monkeypatch: pytest.MonkeyPatch, value: str, root: Path = Path()) -> tuple[Secrets, Secret]:
    monkeypatch.setenv("QALA_TEST_WORD", value)
    secrets = Secrets("somewhere", root)
    return secrets, secrets.read(Reference(env="QALA_TEST_WORD"), "connection.password")


def test_shows_itself_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = _secrets(monkeypatch, WORD)
    assert secret.reveal() == WORD
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>50}",
        format(secret, "s"),
        str([secret]),
        str(dir(secret)),
    ]
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown.append("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
    assert not [text for text in shown if WORD in text or repr(WORD)[1:-1] in text]
    for write in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            write(secret)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=6, max_size=40), st.text(max_size=5)
)
def test_no_way_of_writing_it_gets_through(word: str, user: str) -> None:
    secrets = Secrets("somewhere", Path())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QALA_TEST_WORD", word)
        secrets.read(Reference(env="QALA_TEST_WORD"), "connection.password")
    for written in (
        word,
        repr(word),
        json.dumps({"password": word}),
        json.dumps(word, ensure_ascii=False),
        f"https://{quote(user)}:{quote(word, safe='')}@host/",
        f"?token={quote_plus(word)}",
        f"password = {word!r}",
    ):
        scrubbed = secrets.scrub(written)
        assert HIDDEN in scrubbed
        assert word not in scrubbed
    for coded in (base64.b64encode(f"{user}:{word}".encode()), base64.urlsafe_b64encode(word.encode())):
        assert HIDDEN in secrets.scrub(coded.decode())


def test_each_line_of_a_private_key_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "-----BEGIN KEY-----",
        *(base64.b64encode(bytes([n]) * 48).decode() for n in range(3)),
        "-----END KEY-----",
    ]
    secrets, _ = _secrets(monkeypatch, "\n".join(lines))
    told = secrets.scrub("cannot read: " + lines[2])
    assert told == f"cannot read: {HIDDEN}"


def test_read_of_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text(WORD + "\n")
    file.chmod(0o600)
    secrets = Secrets("somewhere", tmp_path)
    assert secrets.read(Reference(file=Path("word")), "connection.password").reveal() == WORD
    assert secrets.scrub(f"said: {WORD}") == f"said: {HIDDEN}"
    file.chmod(0o604)
    with pytest.raises(SourceError, match=r"somewhere: .*word may be read by others.*connection.password.*chmod 600"):
        secrets.read(Reference(file=Path("word")), "connection.password")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (Reference(env="QALA_TEST_NOBODY_SETS_THIS"), "variable QALA_TEST_NOBODY_SETS_THIS is not set"),
        (Reference(file=Path("absent")), "absent cannot be read"),
        (Reference(file=Path()), "is no file|cannot be read"),
        (Reference(file=Path("short")), "fewer than 4 letters"),
        (Reference(file=Path("bytes")), "no text in UTF-8"),
        (Reference(file=Path("large")), "more than 65,536 bytes"),
    ],
)
def test_what_is_no_secret_is_told(tmp_path: Path, reference: Reference, said: str) -> None:
    for name, content in (("short", b"abc"), ("bytes", b"\xff\xfe\xfd\xfc\xfb"), ("large", b"x" * 70_000)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    with pytest.raises(SourceError, match=said):
        Secrets("somewhere", tmp_path).read(reference, "connection.password")


@pytest.mark.parametrize(
    "written", [WORD, {"env": WORD}, {}, {"env": "A", "file": "b"}, {"value": WORD}, [WORD], 12345678]
)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(written: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Reference.model_validate(written)
    assert WORD not in str(refused.value)
    assert "12345678" not in str(refused.value)
