"""Settlements by the names people write, and what is suggested for those they mistype."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.receiving.deliver import DeclaredDelivery, DeliveryError, check_declaration
from warehouse.tables.contracts import load_tables
from warehouse.tables.settlements import former_names, named, nearest, places_named, regions, registered, transliterated

EVERY = registered()


@pytest.mark.parametrize(
    ("written", "kato"),
    [
        ("Astana", "710000000"),
        ("астана", "710000000"),
        ("АСТАНА ", "710000000"),
        ("710000000", "710000000"),
        ("Қарағанды", "351010000"),
        (unicodedata.normalize("NFD", "Қарағанды"), "351010000"),
        ("Караганды", "351010000"),  # without Kazakh letters
        ("Усть-Каменогорск", "631010000"),
        ("усть каменогорск", "631010000"),
        ("Өскемен", "631010000"),
        ("г. Шымкент", "790000000"),
        ("г.Астана", "710000000"),  # as the register of KATO writes it
        ("Астана Г.А.", "710000000"),
        ("Семей қ.ә.", "101010000"),
        ("City of Oskemen", "631010000"),
        ("Qaragandy", "351010000"),
        ("Óskemen", "631010000"),
        ("Устькаменогорск", "631010000"),
        ("Кзыл-Орда", "431010000"),
        ("Капчагай", "191010000"),
    ],
)
def test_a_name_in_any_of_the_three_languages(written: str, kato: str) -> None:
    assert [code for code, _ in named(written, EVERY)] == [kato]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Астна", "710000000 Астана"),
        ("Шымкет", "790000000 Шымкент"),
        ("Карганда", "351010000 Караганда"),
        ("Қараганд", "351010000 Қарағанды"),
        ("Актоб", "151010000 Актобе"),
        ("Усть-Каменогорк", "631010000 Усть-Каменогорск"),
        ("Өскеме", "631010000 Өскемен"),
        ("Petropavlovk", "591010000 Petropavl (Petropavlovsk)"),
        ("Джезкаган", "621010000 Жезказган (Джезказган)"),
        ("Karagnda", "351010000 Karaganda"),
        ("710000001", "710000000 Astana"),
    ],
)
def test_a_mistyped_name_is_answered_in_its_own_letters(written: str, meant: str) -> None:
    assert nearest(written, EVERY)[0] == meant


def test_what_is_like_no_name_is_answered_by_none() -> None:
    assert nearest("xx", EVERY) == []
    assert nearest("Лондон", EVERY) == []


@pytest.mark.parametrize(
    ("scope", "said"),
    [("Астана", "is 710000000: write the code"), ("Костонай", "391010000"), ("ж" * 500, "qala settlements")],
)
def test_a_name_in_place_of_the_code_of_a_delivery_is_answered_by_the_code(
    scope: str, said: str, tmp_path: object
) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "a.csv"
    file.write_text("x")
    with pytest.raises(DeliveryError) as found:
        check_declaration(DeclaredDelivery(file, "fct_appeal", scope, "2026-01"), load_tables(), {})
    assert said in str(found.value)
    assert len(str(found.value)) < 400


def test_no_text_names_two_settlements_by_itself() -> None:
    """Names of today and of before, in their own letters and in Latin ones: each is one settlement's, or told to be several places'."""
    for kato, names in EVERY:
        for name in (*names, *former_names().get(kato, ())):
            for text in (name, name.upper(), transliterated(name), name.replace("-", " ")):
                assert [code for code, _ in named(text, EVERY)] == [kato], text


@given(
    st.sampled_from([(kato, name) for kato, names in EVERY for name in (*names, *former_names().get(kato, ()))]),
    st.sampled_from(["{}", "г. {}", "г.{}", "город {}", "{} қаласы", "{} қ.", "қ. {}", "{} city", "c. {}", "  {} "]),
    st.sampled_from([str, str.upper, str.lower]),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_a_name_with_anything_beside_it_and_one_letter_wrong_is_resolved_or_suggested(
    one: tuple[str, str], beside: str, case: Callable[[str], str], data: st.DataObject
) -> None:
    kato, name = one
    place = data.draw(st.integers(0, len(name) - 1))
    letters = data.draw(st.sampled_from(["", name[place], name[place] * 2, "а", "о", "e"]))
    text = case(beside.format(name[:place] + letters + name[place + 1 :]))
    if (found := places_named(text, EVERY, regions())) and kato not in [code for code, _ in found]:
        # another name by this very letter: that one, and no third
        assert len(found) == 1
        return
    if not found:
        near = nearest(text, EVERY)
        at_least = len(name) > 4  # of a short one a letter is much of it
        assert any(told.startswith(kato) for told in near) or not at_least or len(near) > 0, (text, near)
