"""The catalogue of messages: three languages of every one, the same parts in each, and what is made of them."""

from __future__ import annotations

import re

import pytest

from warehouse.messages import messages


@pytest.mark.parametrize("code", sorted(messages.catalogue()))
def test_message_has_three_languages_with_the_same_parts(code: str) -> None:
    templates = messages.catalogue()[code]
    assert set(templates) == set(messages.LANGUAGES)
    parts = {language: sorted(re.findall(r"\{(\w+)(?:\|[^}]*)?\}", text)) for language, text in templates.items()}
    # what a library says of an error is English, and stands in the English sentence alone
    assert parts["kk"] == parts["ru"] == [part for part in parts["en"] if part != "error"]
    assert all(text.strip() == text and text for text in templates.values())


def test_plain_text_of_former_versions_is_told_as_it_is() -> None:
    for text in ("none of 4 cells has a value", "[unclosed", '{"code":"no such message"}', "[]"):
        assert messages.rendered(text, "kk") == text
        assert messages.code_of(text) is None
    assert messages.rendered(None, "ru") is None


def test_what_only_looks_like_a_message_is_told_as_it_is() -> None:
    month = '{"code":"reason.month","table":"fct_appeal","month":%s}'
    assert messages.rendered(month % '"2026-01"', "ru") == "fct_appeal 2026-01"
    wrong = (
        '{"code":"reason.month"}',
        month % '{"code":"no such"}',
        month % '{"code":["a"]}',
        month % "{}",
        '{"code":["reason.month"]}',
        "[" * 9999,
    )
    for text in (*wrong, month % ("[" * 5000 + "]" * 5000)):
        assert messages.rendered(text, "kk") == text


def test_language_is_the_given_one_then_the_setting_then_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(messages.SETTING, raising=False)
    assert messages.language_of() == "en"
    monkeypatch.setenv(messages.SETTING, "kk")
    assert (messages.language_of(), messages.language_of("ru")) == ("kk", "ru")
    with pytest.raises(messages.LanguageError, match="no language 'de'; there are kk, ru, en"):
        messages.language_of("de")
