"""Names as they may be shown: of files, of members of archives, of columns nobody declared.

People write what they like into the name of a file, and a file without a header has data where names of columns should be. What is
shown keeps words of this trade (tables, systems, settlements, months, `report`, `выгрузка`) and short numbers; the rest is `«…»`. The
name as given stands in the receipt, in the archive. Does not belong here: what is done with cells (rejected_values.py).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache

from connectors.mapping.contract_checks import STANDARD
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data.detection import MASK, scrubbed, shape
from kpi_definitions.documents import DocumentError
from warehouse.loading.deliveries import Receipt
from warehouse.messages.messages import Message
from warehouse.tables.contracts import load_tables
from warehouse.tables.settlements import folded, places, settlements, transliterated

_LIKE = 0.8  # how near a header must be to a declared one to be a mistyped name; our proposal, as the next
_DIGITS = 8  # of a number that is shown: a date, a count
_TOKENS = re.compile(r"[^\W\d_]+|\d+|[\W_]+")
_CAMEL = re.compile(r"(?<=[^\W\d_A-ZА-ЯЁӘҒҚҢӨҰҮҺІ])(?=[A-ZА-ЯЁӘҒҚҢӨҰҮҺІ])")
_STAMP = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d([0-5]\d)?")
# what files are called by; in English, Russian and Kazakh
_WORDS = """
csv tsv txt dat pdf doc docx jpg png zip parquet json jsonl xml xlsx xls ods gz zst manifest readme description schema photo former folder letter письмо хат
town towns village villages settlement settlements place places another blank inner outer missing none note notes nowhere odd row rows link pipe
reason release ledger delivery deliveries definition assessment catalogue scorecard flights secret setting settings said plan fact source target
жалобы жалоба жалоб звонки звонок вызов маршруты остановки поездки датчики камеры здания дома объекты счетчики услуги дела заявка
part parts file files data dataset extract extracts export exports import report reports
final new old copy corrected correction corrections version ver draft test tests sample demo example temp full complete partial changes delta
snapshot register list table all total annual year yearly quarter quarterly month monthly week weekly day daily hour hourly from and the for with
without header headers system systems city cities region regions district districts akimat kazakhstan kz en ru kk kaz rus eng utf win first second
third last next january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov
dec appeals crashes calls trips stops people population made up good bad broken empty wrong late again same other one two three
выгрузка выгрузки выгрузить отчет отчёт отчеты отчёты данные данных обращения обращений обращение заявки заявок заявления заявлений реестр реестры
список списки таблица таблицы журнал сводка сводный сводная итог итоговый итоговая новый новая новое старый старая копия исправлено исправленный
исправленная исправление исправления финал финальный финальная окончательный версия черновик тест образец пример полный полная полные частичный
изменения снимок файл файлы часть экспорт импорт архив месяц месяца квартал квартала год года день неделя час за от по до из без для город города
область области район района акимат акимата казахстан рк январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь января
февраля марта апреля мая июня июля августа сентября октября ноября декабря население вызовы дтп
деректер есеп есептер өтініш өтініштер тізім тізілім кесте журналы көшірме жаңа ескі түзетілген түзету нұсқа толық бөлік файлы мұрағат ай айы
тоқсан жыл жылы күн апта қала қаласы облыс облысы аудан ауданы әкімдік әкімдігі қазақстан қаңтар ақпан наурыз сәуір мамыр маусым шілде тамыз
қыркүйек қазан қараша желтоқсан
"""


def _parts(text: str) -> Iterable[str]:
    return (folded(t) for t in _TOKENS.findall(_CAMEL.sub(" ", text)) if t[0].isalpha())


@cache
def _known_words() -> frozenset[str]:
    """Words that name no person: of tables and their columns, of places, of time, of files."""
    texts = [_WORDS]
    for table in load_tables().values():
        texts += [
            table.name,
            table.title,
            table.title_ru,
            table.title_kk,
            table.domain,
            *(c.name for c in table.columns),
        ]
    for place in places():
        texts += [place, transliterated(place)]
    return frozenset(word for text in texts for word in _parts(text))


def _is_known(word: str, more: frozenset[str]) -> bool:
    word = folded(word)
    return (
        len(word) < 3 or word in _known_words() or word in more or (word.endswith("s") and word[:-1] in _known_words())
    )


def _number(digits: str) -> bool:
    return len(digits) <= _DIGITS or digits in settlements() or bool(_STAMP.fullmatch(digits))


def safe_name(name: str, more: Iterable[str] = (), kept: bool = False) -> str:
    """A name as it may be shown. `more`: names whose words are known besides; `kept`: only numbers and addresses of persons are taken out."""
    name = scrubbed(name, sure=True)
    if kept:
        return name
    words = frozenset(word for text in more for word in _parts(text))
    shown = "".join(
        token if not token[0].isalnum() or (_number(token) if token[0].isdigit() else _is_known(token, words)) else MASK
        for part in _CAMEL.split(name)
        for token in _TOKENS.findall(part)
    )
    return re.sub(rf"{MASK}(?:[\s._-]*{MASK})+", MASK, shown)


def safe_header(number: int, name: str, declared: Iterable[str]) -> str | Message:
    """A name found in a header that no contract expects there: itself if it is one, or nearly one; else a message of its place and shape."""
    if name and (difflib.get_close_matches(name, [*declared], 1, _LIKE) or safe_name(name) == name):
        return name
    return {"code": "header.unnamed", "number": number, "shape": shape(name)}


def named_safely(
    receipts: Iterable[Receipt], sources: Callable[[], Mapping[tuple[str, str], SourceContract]]
) -> list[Receipt]:
    """Receipts under names that may be shown: what goes into the warehouse. Contracts at fault keep no name."""
    found = list(receipts)
    known: Mapping[tuple[str, str], SourceContract] = {}
    if any(one.system != STANDARD for one in found):
        with suppress(DocumentError):  # the reader of the file reports it
            known = sources()
    named = []
    for one in found:
        contract = known.get((one.system, one.table))
        more = [one.system, one.table, *(contract.headers if contract else ())]
        kept = contract is not None and contract.names_kept
        named.append(replace(one, file_name=safe_name(one.file_name, more, kept)))
    return named
