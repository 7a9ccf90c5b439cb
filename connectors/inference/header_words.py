"""Which column of a table a header of a file means: by its name, by what contracts of other systems say, by words of like meaning.

Belongs here: words and their likeness. Does not belong here: what the cells hold (inference.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from connectors.mapping.source_contract import SourceContract
from warehouse.tables.contracts import Column, Table
from warehouse.tables.settlements import folded

# words of one meaning to a line, by their beginnings: in Russian, Kazakh, English, and as column names have them
_MEANINGS = """
номер нөмір number no id ид идентификатор код сәйкестендіргіш ключ
дата күн date day дни время уақыт time when at начало
регистрац зарегистр поступ создан подан подач принят тіркел түск registered created received submitted submission opened open filed
закрыт завершен исполнен окончан жабыл аяқта closed completed finished ended resolved
срок мерзім due deadline planned план
ответ жауап answer answered reply response
статус состоян күй жай-күй status state
категори тематик санат тақырып category subject topic kind вид тип түр type
канал арна channel
экстрен шұғыл emergency urgent
район аудан district
город қала city settlement kato като нп
адрес мекен address
улиц көше street segment участок
количеств число сан саны count quantity volume amount pieces штук
сумм стоимост цен құн amount cost price value тенге тг
населен халық population residents жител
площад аудан area кв
погиб қаза deaths died fatal
ранен пострадав жарақат injured hurt
происшеств случил occurred happened дтп crash оқиға
пост станци станс station
час hour сағат
загрязн ластан pollutant вещество
концентрац шоғыр value показател көрсет
достовер валид valid жарамды
установ введен ввод орнат installed commissioned
снят демонт выведен removed decommissioned алын
выдан одобрен согласован approved issued granted берілген
мощност қуат power
дом здани ғимарат building
услуг қызмет service
организац ұйым organisation organization company предприят
систем жүйе system
прибыт келу arrived arrival
вызов шақыр call
"""
# that tell little by themselves: half the columns of a table have one
_COMMON = frozenset({"номер", "дата"})
_STEM = 5  # letters by which words of one root are recognised; our proposal, as the next
LIKELY = 0.5
_WORD = re.compile(r"[^\W\d_]+|\d+")
# headers of columns that name or address a person, by the beginnings of their words
_PERSONAL = re.compile(
    r"\b(иин|жсн|фио|тап|т\.?а\.?ә|имя|имени|фамил|отчеств|тегі|аты|есімі|телефон|тел|моб|phone|mobile|e-?mail|почт[аыу]|пошта|паспорт|удостовер|"
    r"куәлік|рожден|туған|birth|заявител|гражданин|абонент|пациент|водител|владел|собственник|опекун|сотрудник|исполнител|оператор|ответствен|"
    r"инспектор|контакт|name|surname|applicant|citizen|patient|owner|driver|passport|iin|ssn)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Likeness:
    """How a header came to be taken for a column. `sure`: nothing needs to be decided; `how`: in words."""

    header: str
    column: str
    score: float
    how: str
    sure: bool


def names_a_person(header: str) -> bool:
    """Whether a header's words are those of a column with data of a person."""
    return bool(_PERSONAL.search(header.replace("_", " ")))


def likenesses(header: str, table: Table, known: Mapping[tuple[str, str], SourceContract]) -> list[Likeness]:
    """What a header may mean, the likeliest first: surely by a name, else by words, over LIKELY."""
    name = _plain(header)
    found: list[Likeness] = []
    for column in (*(c for c in table.columns), None):
        target = column.name if column else "kato"
        others = {h for c in known.values() if c.table == table.name for h in _headers(c, target)}
        if name == _plain(target):
            found.append(Likeness(header, target, 3, "by its name", True))
        elif name in map(_plain, others):
            found.append(Likeness(header, target, 2, "as in another system's contract", True))
        elif column and name in (_plain(column.description_ru), _plain(column.description)):
            found.append(Likeness(header, target, 2, "by its description", True))
        else:
            score = max((_alike(header, text) for text in _texts(column, target, others)), default=0)
            if score >= LIKELY:
                found.append(Likeness(header, target, score, "by likeness of words", False))
    return sorted(found, key=lambda one: -one.score)


def _texts(column: Column | None, target: str, others: Iterable[str]) -> Iterable[str]:
    """What a column is called, everywhere."""
    yield target
    yield from others
    if column:
        # of a description the first part: what follows explains it
        yield from (re.split(r"[;:,(]", text)[0] for text in (column.description_ru, column.description) if text)


def _headers(contract: SourceContract, column: str) -> list[str]:
    return [c.header for c in contract.columns if c.name == column and c.header]


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(folded(text.replace("_", " "))))


@cache
def _meanings() -> dict[str, str]:
    """Beginning of a word → the first word of its line."""
    return {folded(word): line.split()[0] for line in reversed(_MEANINGS.strip().splitlines()) for word in line.split()}


def _concepts(text: str) -> frozenset[str]:
    """The words of a text by what they mean, as far as that is known."""
    return frozenset(
        _concept(word)
        for word in _plain(text).split()
        if len(word) > 1 and word not in ("the", "of", "in", "or", "и", "в", "по", "на")
    )


@cache
def _concept(word: str) -> str:
    for size in range(len(word), 1, -1):
        if (size > 3 or size == len(word)) and (found := _meanings().get(word[:size])):
            return found
    return word[:_STEM]


def _alike(one: str, other: str) -> float:
    """From 0 to 1: how many of both texts' words mean the same; common ones count little."""
    left, right = _concepts(one), _concepts(other)

    def weight(words: Iterable[str]) -> float:
        return sum(0.4 if word in _COMMON else 1.0 for word in words)

    shared = weight(left & right)
    return 2 * shared / (weight(left) + weight(right)) if left and right else 0.0
