"""The README of the evidence pack of one value, in English and Russian: what to type, how to read it, what it proves. Words only.

Does not belong here: which files a pack holds (evidence.py), the README of a roll-up or a level (evidence_readme_summed.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOW = "import duckdb; print(duckdb.execute(open('recompute.sql', encoding='utf-8').read()).fetchone())"
# what to type; also in evidence_readme_summed.py
_LINUX = """```
sha256sum --check SHA256SUMS
duckdb -line -c ".read recompute.sql"
```"""
_WINDOWS = """```
Get-Content -Encoding UTF8 SHA256SUMS | ForEach-Object { $sum, $name = $_ -split '  ', 2
  if ((Get-FileHash -Algorithm SHA256 -LiteralPath $name).Hash -eq $sum) { "${name}: OK" } else { "${name}: DIFFERENT" } }
.\\duckdb.exe -line -c ".read recompute.sql"
```"""
_PYTHON = f"""```
python -c "{SHOW}"
```"""
CHECK_EN = f"""In this folder type, on Linux

{_LINUX}

or in Windows PowerShell

{_WINDOWS}

Without the DuckDB program, but with its Python package (on Windows `py` in place of `python`):

{_PYTHON}"""
CHECK_RU = f"""В этой папке наберите в Linux

{_LINUX}

или в Windows PowerShell

{_WINDOWS}

Если программы DuckDB нет, но есть её пакет для Python (в Windows вместо `python` — `py`):

{_PYTHON}"""
_CLASSES = {"internal": "служебный", "personal": "персональный", "restricted": "ограниченного доступа"}

_ENGLISH = """# Evidence pack: {code}, {place_en}, {period}

[Русский текст ниже](#пакет-доказательств)

{name_en}. Value: **{value}**, state: {state}. Numerator {numerator}, denominator {denominator}, sample {sample}.{bounds_en}
The warehouse was read as of ledger row {as_of}. Definition: version {version}, fingerprint `{fingerprint}`.

The pack shows how this number came about and lets you compute it again. Nothing but DuckDB and what every Linux and Windows has is needed.

## Check it

{check_en}

The first command says `OK` for each file. The last row of the second:

| column | meaning |
|---|---|
| `expected` | the number as it was recorded |
| `computed` | the number by the definition's own SQL, from the rows in `rows/` |
| `equal` | `true`: value, numerator, denominator and sample are the same |
| `ledger_intact` | `true`: every ledger row follows from the one before it, up to the head below |
| `inputs_in_ledger` | `true`: each delivery's SHA-256 and the definition's fingerprint are those that the ledger has |

The `duckdb` program also prints, before it, the ledger's first broken row, if there is one, and each delivery with its ledger row.

## The head of the ledger

```
{head}
```

Compare it with a head that was kept elsewhere, at the time (printed by `qala verify`, in `release.json`, in a letter). Only this comparison
shows a ledger that was rewritten from end to end.

## What is in it

{tables}

Columns: the table's key, the columns that the definition reads, `delivery_id` and `row_no` (which record of which delivered file),
`valid_from_seq` (the ledger row that brought this version of the row), and `in_numerator`, `in_denominator`, `in_sample`. Rows with no
flag fell into the period and were left out by the definition's conditions.

| file | what it holds |
|---|---|
| `definition.json` | the definition as registered, with its fingerprint |
| `value.json` | everything `qala explain` says: formula, SQL, deliveries, earlier values |
| `deliveries.json` | each delivery: file name, SHA-256, size, system, owner, times, counts, contract, check results, rejected rows by rule |
| `ledger.parquet` | the whole ledger, needed to check its chain |
| `recompute.sql` | the computation and the comparison |{files_en}

## What it proves, and what not

- It proves that the recorded number follows from these rows by this definition, and that deliveries and definition are those of this ledger.
- It does not prove that these rows are those of the delivered files. {original_en}
- A changed row that does not change the number leaves `equal` true: `SHA256SUMS` shows it. Who may change the pack may change
  `SHA256SUMS` too: keep its own SHA-256, or have a second pack made from the same release by the same DuckDB; it has the same bytes.
- It does not prove that the number is what was published: compare it with the release (`kpi_values.csv`).
- It does not prove that the systems delivered all they had.

## Personal and restricted data

{classified_en}
The ledger names delivered files and who closed incidents of data quality. {personal_files_en}A pack is made for an audit, not for publication.
"""

_RUSSIAN = """
---

# Пакет доказательств

**{code}, {place_ru}, {period}.** {name_ru}. Значение: **{value}**, состояние: {state}. Числитель {numerator}, знаменатель {denominator},
выборка {sample}.{bounds_ru} Хранилище прочитано по состоянию на запись журнала {as_of}. Определение: версия {version}, отпечаток `{fingerprint}`.

Пакет показывает, как получено число, и позволяет вычислить его заново. Нужны только DuckDB и то, что есть в любом Linux и Windows.

## Как проверить

{check_ru}

Первая команда отвечает `OK` по каждому файлу. Последняя строка второй:

| столбец | что значит |
|---|---|
| `expected` | число, как оно записано |
| `computed` | число, вычисленное по SQL определения из строк папки `rows/` |
| `equal` | `true`: значение, числитель, знаменатель и выборка совпали |
| `ledger_intact` | `true`: каждая запись журнала следует из предыдущей, вплоть до указанной ниже головной |
| `inputs_in_ledger` | `true`: SHA-256 каждой поставки и отпечаток определения те же, что в журнале |

Программа `duckdb` перед этим печатает первую нарушенную запись журнала, если она есть, и каждую поставку с её записью в журнале.

## Головная запись журнала

```
{head}
```

Сравните её с той, что была тогда же сохранена в другом месте (её печатает `qala verify`, она есть в `release.json`). Только это сравнение
выявляет журнал, переписанный целиком.

## Что внутри

{tables_ru}

Столбцы: ключ таблицы, столбцы, которые читает определение, `delivery_id` и `row_no` (какая запись какого файла), `valid_from_seq` (запись
журнала, с которой действует эта версия строки), а также `in_numerator`, `in_denominator`, `in_sample`: вошла ли строка в числитель,
знаменатель, выборку. Строки без отметок относятся к периоду, но исключены условиями определения.

| файл | что в нём |
|---|---|
| `definition.json` | определение, как оно зарегистрировано, с отпечатком |
| `value.json` | всё, что сообщает `qala explain`: формула, SQL, поставки, прежние значения |
| `deliveries.json` | каждая поставка: имя файла, SHA-256, размер, система, владелец, время, строки, контракт, проверки, отклонённые строки по правилам |
| `ledger.parquet` | весь журнал: он нужен для проверки цепочки |
| `recompute.sql` | вычисление и сравнение |{files_ru}

## Что доказано, а что нет

- Доказано, что записанное число следует из этих строк по этому определению, а поставки и определение те же, что в этом журнале.
- Не доказано, что эти строки взяты из поставленных файлов. {original_ru}
- Изменённая строка, которая не меняет числа, оставляет `equal` равным `true`: её выявляет `SHA256SUMS`. Кто может изменить пакет, может
  изменить и `SHA256SUMS`: сохраните его собственный SHA-256 или получите второй пакет из того же выпуска той же версией DuckDB: байты совпадут.
- Не доказано, что опубликовано именно это число: сравните его с выпуском (`kpi_values.csv`).
- Не доказано, что системы передали всё, что у них было.

## Персональные данные и данные ограниченного доступа

{classified_ru}
Журнал называет поставленные файлы и тех, кто закрыл инциденты качества данных. {personal_files_ru}Пакет предназначен для аудита, а не для публикации.
"""


def readme(
    answer: Mapping[str, Any],
    head: str,
    tables: Mapping[str, Mapping[str, int]],
    classified: Mapping[str, Sequence[str]],
    *,
    files: bool,
    personal: Sequence[str] = (),
) -> str:
    """The README of the pack of one value. `answer` as `explain` gives it.

    `tables`: rows and flags by table; `classified`: columns by classification, open ones left out; `files`: whether the pack has the files
    as received; `personal`: SHA-256 of those with personal data.
    """
    words = {
        **_value_words(answer),
        **_bounds_words(answer["bounds"]),
        **_classified_words(classified),
        **(_file_words(personal) if files else _NO_FILES),
        "head": head,
        "check_en": CHECK_EN,
        "check_ru": CHECK_RU,
        "tables": _table("rows", "in the numerator", "in the denominator", "in the sample", tables),
        "tables_ru": _table("строк", "в числителе", "в знаменателе", "в выборке", tables),
    }
    return (_ENGLISH + _RUSSIAN).format(**words)


def _value_words(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the value is of, and its parts."""
    kpi, settlement, definition = answer["kpi"], answer["settlement"], answer["definition"]
    state = answer["state"] + (f" ({answer['obs_status']})" if answer["obs_status"] else "")
    return {
        "code": kpi["code"],
        "name_en": kpi["name"]["en"],
        "name_ru": kpi["name"]["ru"],
        "place_en": settlement["name_en"],
        "place_ru": settlement["name_ru"],
        "period": answer["period"]["id"],
        "state": state + (f": {answer['reason']}" if answer["reason"] else ""),
        "as_of": answer["computed"]["as_of_seq"],
        "version": definition["version"],
        "fingerprint": definition["hash"],
        "value": "—" if answer["value"] is None else f"{answer['value']} {kpi['unit']}",
        "numerator": "—" if answer["numerator"] is None else answer["numerator"],
        "denominator": "—" if answer["denominator"] is None else answer["denominator"],
        "sample": answer["sample_size"] or 0,
    }


def _classified_words(classified: Mapping[str, Sequence[str]]) -> dict[str, str]:
    names = {kind: ", ".join(f"`{c}`" for c in columns) for kind, columns in sorted(classified.items())}
    english = "".join(f"- {kind}: {columns}\n" for kind, columns in names.items())
    russian = "".join(f"- {_CLASSES.get(kind, kind)} ({kind}): {columns}\n" for kind, columns in names.items())
    return {
        "classified_en": english or "All columns in the pack are classified as open.\n",
        "classified_ru": russian or "Все столбцы пакета отнесены к открытым.\n",
    }


_NO_FILES = {
    "files_en": "",
    "files_ru": "",
    "personal_files_en": "",
    "personal_files_ru": "",
    "original_en": "Ask for a pack made with `--files`, and look up a few by `delivery_id` and `row_no`.",
    "original_ru": "Запросите пакет с ключом `--files` и сверьте несколько строк по `delivery_id` и `row_no`.",
}


def _file_words(personal: Sequence[str]) -> dict[str, str]:
    """What is said of files as received. `personal`: SHA-256 of those with personal data."""
    personal_en = "`files/` holds whole files, with columns that the definition does not read. "
    personal_ru = "В `files/` лежат файлы целиком, со столбцами, которых определение не читает. "
    if personal:
        named = ", ".join(f"`{sha256[:12]}…`" for sha256 in personal)
        personal_en += f"**Personal data of people are in the clear in the files that begin with {named}.** "
        personal_ru += f"**Персональные данные людей в открытом виде: файлы, имена которых начинаются с {named}.** "
    return {
        "files_en": "\n| `files/` | the files as received: SHA-256, then the name |",
        "files_ru": "\n| `files/` | файлы, как они получены: SHA-256, затем имя |",
        "personal_files_en": personal_en,
        "personal_files_ru": personal_ru,
        "original_en": "`delivery_id` and `row_no` lead from each row to its record in `files/`: look up a few.",
        "original_ru": "`delivery_id` и `row_no` ведут от каждой строки к её записи в `files/`: сверьте несколько.",
    }


def _bounds_words(found: Mapping[str, Any] | None) -> dict[str, str]:
    """What is said of rows rejected or loaded with an empty cell; nothing if there are none."""
    if not found or not found["rejected_rows"] + found["gap_rows"]:
        return {"bounds_en": "", "bounds_ru": ""}
    low, high, lost = found["low"], found["high"], (found["rejected_rows"], found["gap_rows"])
    between_en = "no bounds can be given" if low is None else f"the value lies between {low} and {high}"
    between_ru = "границы указать нельзя" if low is None else f"значение лежит между {low} и {high}"
    return {
        "bounds_en": f" With {lost[0]} rows rejected and {lost[1]} loaded with a cell left empty counted for and against it, {between_en}.",
        "bounds_ru": f" Если {lost[0]} отклонённых строк и {lost[1]} строк с пустой ячейкой учесть «за» и «против», {between_ru}.",
    }


def _table(rows: str, numerator: str, denominator: str, sample: str, tables: Mapping[str, Mapping[str, int]]) -> str:
    lines = [f"| | {rows} | {numerator} | {denominator} | {sample} |", "|---|---|---|---|---|"]
    lines += [f"| `rows/{table}.parquet` | {' | '.join(map(str, found.values()))} |" for table, found in tables.items()]
    return "\n".join(lines)
