"""Settlements by the names people write, and what is suggested for those they mistype."""

from __future__ import annotations

import unicodedata

import pytest

from connectors.receiving.deliver import DeclaredDelivery, DeliveryError, check_declaration
from warehouse.tables.contracts import load_tables
from warehouse.tables.settlements import named, nearest, registered

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
        ("Petropavlovsk", "591010000 Petropavl"),
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
    [("Астана", "did you mean 710000000 Astana"), ("Костонай", "391010000"), ("ж" * 500, "qala settlements")],
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
