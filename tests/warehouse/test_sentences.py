"""registry.message: filled with what is recorded, made anew with the catalogue, and named where it says something else."""

from __future__ import annotations

import pytest

from warehouse.messages import messages
from warehouse.store.schema import ensure_schema
from warehouse.store.sentences import differing_sentences, keep_sentences, make_sentences
from warehouse.store.store import Store

MESSAGE = '{"code":"test.rows","rows":3,"rules":["a.type","b.range"]}'
SAID = {
    **messages.catalogue(),
    "test.rows": {
        "en": "{rows} rows ({rules| and })",
        "ru": "строк: {rows} ({rules| и })",
        "kk": "жол: {rows} ({rules| және })",
    },
}


@pytest.fixture
def reasons(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A warehouse whose kpi.assessment_item has two messages, each twice, and plain text of a former version."""
    known = {**messages.catalogue(), **SAID}
    monkeypatch.setattr(messages, "catalogue", lambda: known)
    both = f'[{MESSAGE},{{"code":"reason.restricted"}}]'
    rows = [
        (n, "710000000", "X", False, 1.0, text)
        for n, text in enumerate((MESSAGE, both, "not delivered", MESSAGE, both))
    ]
    make_sentences(store)
    store.insert("kpi.assessment_item", ["assessment_id", "kato", "kpi_code", "calculable", "weight", "reason"], rows)
    return store


def kept(store: Store) -> list[tuple[str, ...]]:
    return store.con.execute("SELECT code, text_en, text_ru, text_kk FROM registry.message ORDER BY ALL").fetchall()


def test_sentences_are_kept_once_of_messages_and_not_of_plain_text(reasons: Store) -> None:
    restricted = ("reason.restricted", "restricted publication", "публикация ограничена", "жариялау шектелген")
    assert kept(reasons) == [restricted]
    assert len(list(differing_sentences(reasons.con))) == 2
    for _ in range(2):
        keep_sentences(
            reasons, ("kpi.assessment_item", "reason"), ("(SELECT observed FROM audit.incident)", "observed")
        )
    one = ("3 rows (a.type and b.range)", "строк: 3 (a.type и b.range)", "жол: 3 (a.type және b.range)")
    both = tuple(f"{a}; {b}" for a, b in zip(one, restricted[1:], strict=True))
    assert kept(reasons) == [restricted, ("test.rows", *one), ("test.rows", *both)]
    assert list(differing_sentences(reasons.con)) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "UPDATE registry.message SET text_kk = 'бәрі жақсы' WHERE code = 'reason.restricted'",
            "are not those of the catalogue",
        ),
        ("DELETE FROM registry.message WHERE code = 'reason.restricted'", "has no sentences"),
        ("DELETE FROM registry.message WHERE message[1] = '['", "has no sentences"),
        ("INSERT INTO registry.message FROM registry.message LIMIT 1", "has sentences twice"),
        (
            "INSERT INTO registry.message VALUES ('not delivered', 'x', 'all well', 'x', 'x')",
            "are not those of the catalogue",
        ),
    ],
)
def test_sentences_that_do_not_follow_are_named(reasons: Store, sql: str, said: str) -> None:
    keep_sentences(reasons, ("kpi.assessment_item", "reason"))
    reasons.con.execute(sql)
    (found,) = differing_sentences(reasons.con)
    assert said in found


def test_a_change_of_the_catalogue_makes_all_sentences_anew(reasons: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_sentences(reasons, ("kpi.assessment_item", "reason"))
    monkeypatch.setitem(SAID["test.rows"], "kk", "{rows} жол ({rules})")
    assert len(list(differing_sentences(reasons.con))) == 2
    reasons.con.execute("UPDATE registry.setting SET value = 'another' WHERE name = 'schema'")
    ensure_schema(reasons)
    assert list(differing_sentences(reasons.con)) == []
    assert "3 жол (a.type, b.range)" in {row[3] for row in kept(reasons)}


def test_numbers_names_and_lists_are_said_in_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"test.between": dict.fromkeys(messages.LANGUAGES, "{season}: {low}, {targets|; }")}
    monkeypatch.setattr(messages, "catalogue", lambda: said)
    name = {"en": "heating season", "ru": "отопительный сезон", "kk": None}
    text = messages.recorded({"code": "test.between", "season": name, "low": 0.5, "targets": [1.25, 10]})
    assert messages.rendered(text, "en") == "heating season: 0.5, 1.25; 10"
    assert messages.rendered(text, "ru") == messages.rendered(text, "kk") == "отопительный сезон: 0,5, 1,25; 10"
