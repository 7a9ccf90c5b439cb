"""The README of an evidence pack of a roll-up, or of a level and a place, in English and Russian. Words only.

Does not belong here: the README of one value (evidence_readme.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warehouse.audit.evidence_readme import CHECK_EN, CHECK_RU

_HOLDS_ROLLUP = """`cells.parquet` has the published cells that are summed, each with numerator, denominator, sample, state and the ledger row from which it
holds (`counts`: whether it is taken in). A cell's own rows are in its own pack: `qala evidence KPI SETTLEMENT PERIOD`. Of a quantile, which
cannot be summed, `rows/` has the events of all cells."""
_HOLDS_ROLLUP_RU = """В `cells.parquet` — опубликованные значения, из которых сложено число: числитель, знаменатель, выборка, состояние и запись журнала, с
которой значение действует (`counts`: вошло ли оно). Строки самого значения — в его собственном пакете: `qala evidence KPI SETTLEMENT
PERIOD`. Для квантиля, который сложить нельзя, в `rows/` лежат события всех значений."""
_HOLDS_LEVEL = """`items.parquet` has every KPI of every settlement of the group with value, weight and score; `values.parquet` the year's values they were
taken from; `scales.parquet` and `weights.parquet` floors, goals and weights by the rules in `rules.json`; `scores.parquet` and
`places.parquet` what was recorded. Each value has a pack of its own: `qala evidence KPI SETTLEMENT YEAR`. The rules are our proposal,
floors and goals illustrative: the order's own formula is not public."""
_HOLDS_LEVEL_RU = """В `items.parquet` — все показатели всех населённых пунктов группы: значение, вес, балл; в `values.parquet` — годовые значения, из
которых они взяты; в `scales.parquet` и `weights.parquet` — пороги, цели и веса по правилам `rules.json`; в `scores.parquet` и
`places.parquet` — то, что записано. У каждого значения есть свой пакет: `qala evidence KPI SETTLEMENT YEAR`. Правила — наше
предложение, пороги и цели условны: формула приказа не опубликована."""
_README = """# Evidence pack: {what}

[Русский текст ниже](#пакет-доказательств)

**{number}**

{check}

The last row: `expected` is what was recorded, `computed` what the files beside give, `equal` whether they are the same; `ledger_intact`: every
ledger row follows from the one before it, up to

```
{head}
```

Compare that head with one that was kept elsewhere at the time: only this shows a ledger that was rewritten from end to end.

{holds}

It proves that the recorded number follows from these figures, not that these figures are right: walk on to their own packs.

---

# Пакет доказательств

**{what_ru}: {number}**

{check_ru}

Последняя строка: `expected` — то, что записано, `computed` — то, что дают файлы пакета, `equal` — совпали ли они; `ledger_intact` — каждая
запись журнала следует из предыдущей вплоть до указанной выше головной. Сравните её с той, что была тогда же сохранена в другом месте.

{holds_ru}

Доказано, что записанное число следует из этих данных, но не то, что сами данные верны: для них есть свои пакеты.
"""


def summed_readme(answer: Mapping[str, Any], head: str) -> str:
    """The README of the pack of a roll-up, or of a level and a place, in English and Russian."""
    words = _rollup_words(answer) if "members" in answer else _level_words(answer)
    return _README.format(**words, head=head, check=CHECK_EN, check_ru=CHECK_RU)


def _rollup_words(answer: Mapping[str, Any]) -> dict[str, str]:
    code, area, period = answer["kpi"]["code"], answer["area"], answer["period"]["id"]
    value = "—" if answer["value"] is None else f"{answer['value']} {answer['kpi']['unit']}"
    return {
        "what": f"{code}, {area['name_en']}, {period}",
        "what_ru": f"{code}, {area['name_ru']}, {period}",
        "number": f"{value}, {answer['state']}; {answer['counted']} of {answer['applicable']} cells",
        "holds": _HOLDS_ROLLUP,
        "holds_ru": _HOLDS_ROLLUP_RU,
    }


def _level_words(answer: Mapping[str, Any]) -> dict[str, str]:
    settlement, place = answer["settlement"], answer["place"]
    ranked = place and place["rank"]
    of_group = f", {place['rank']} of {place['of']} in the group {settlement['item7_group']}" if ranked else ""
    return {
        "what": f"{answer['code'] or 'level and place'}, {settlement['name_en']}, {answer['year']}",
        "what_ru": f"{answer['code'] or 'уровень и место'}, {settlement['name_ru']}, {answer['year']}",
        "number": f"{answer['level']}{of_group}",
        "holds": _HOLDS_LEVEL,
        "holds_ru": _HOLDS_LEVEL_RU,
    }
