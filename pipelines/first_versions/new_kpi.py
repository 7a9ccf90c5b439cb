"""`qala new kpi`: the first version of a KPI's definition, with its golden file and its scale in the rules of assessment."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from kpi_definitions import catalogue as catalogues
from kpi_definitions.catalogue import Catalogue, load_catalogues
from kpi_definitions.documents import read
from kpi_definitions.model import AssessmentRules
from kpi_definitions.nearest import meant
from pipelines.checkout import needed
from pipelines.first_versions.counting import Counting, counting
from pipelines.first_versions.golden_cases import golden_cases
from pipelines.first_versions.writing import FirstVersion, FirstVersionError, scalar
from pipelines.methods.check import GOLDEN
from warehouse.home.home import Home
from warehouse.tables.contracts import Table
from warehouse.tables.home_tables import tables_of

KINDS = ("share", "mean", "quantile")
_CODE = re.compile(r"([A-Z][A-Z0-9]{1,11})-\d{1,2}")


def new_kpi(home: Home, code: str, table_name: str, kind: str, since: dt.date, list_id: str) -> FirstVersion:
    """A KPI over a table, in force from a day. Raises FirstVersionError, DocumentError."""
    if not _CODE.fullmatch(code):
        raise FirstVersionError(f"{code!r} is no code of a KPI: write its initiative, a dash and a number, as MGT02-3")
    if kind and kind not in KINDS:
        raise FirstVersionError(
            f"no first version of kind {kind!r}: there are {', '.join(KINDS)}; for a rate or a ratio begin with a share and see ECO03.yaml"
        )
    tables, lists = tables_of(home), load_catalogues(home.catalogues)
    table = tables.get(table_name)
    if table is None:
        raise FirstVersionError(
            f"there is no table {table_name!r} (a new one: qala new table); {meant(table_name, tables, 'see docs/reference/data-dictionary.md')}"
        )
    if code in lists.codes:
        raise FirstVersionError(
            f"{code} is there already; a change of it is a new version in {_file_of(lists.of(code), code)}"
        )
    one = _list(lists.lists, code, list_id)
    rows = counting(table, kind)
    texts: dict[Path, str] = {}
    additions: dict[Path, tuple[str, str]] = {}
    file = _file_of(one, code)
    if file.exists():
        former = file.read_text(encoding="utf-8")
        additions[file] = (former, _appended(file, former, _entry(code, one, table, rows, since)))
    else:
        texts[file] = "".join(_initiative(code, one, table)) + _entry(code, one, table, rows, since)
    shipped = one.folder.parent == catalogues.SHIPPED
    if shipped:
        needed(f"{one.head.id} comes with qala; for KPIs of your own make a list: qala new catalogue")
    golden = (GOLDEN if shipped else one.folder / "golden") / f"{code}.yaml"
    texts[golden] = golden_cases(code, table, rows, since)
    _scales(one, code, rows, since.year, texts, additions)
    return FirstVersion(texts, tuple(_steps(home, code, file, golden, shipped=shipped)), additions)


def _list(lists: tuple[Catalogue, ...], code: str, wanted: str) -> Catalogue:
    """The list a KPI goes to: that of its initiative, or the named one. Raises FirstVersionError if that is not clear."""
    initiative = code.partition("-")[0]
    holding = next((one for one in lists if initiative in one.documents), None)
    named = {one.head.id: one for one in lists}
    if wanted and wanted not in named:
        raise FirstVersionError(f"no list {wanted!r}; {meant(wanted, named)}")
    if holding and wanted not in ("", holding.head.id):
        raise FirstVersionError(
            f"{initiative} is an initiative of list {holding.head.id}: leave --catalogue out, or choose another code"
        )
    chosen = holding or named.get(wanted) or (lists[0] if len(lists) == 1 else None)
    if chosen is None:
        raise FirstVersionError(
            f"{initiative} is in no list yet: say with --catalogue in which it is to be: {', '.join(named)}"
        )
    checkout = catalogues.SHIPPED.parent.parent
    if chosen.folder.parent == catalogues.SHIPPED and not (checkout / "pyproject.toml").exists():
        raise FirstVersionError(
            f"list {chosen.head.id} is part of qala itself, and {checkout} is no checkout of it: clone qala, or name a list of the home"
        )
    return chosen


def _file_of(one: Catalogue, code: str) -> Path:
    """The file of a KPI's initiative."""
    initiative = code.partition("-")[0]
    if initiative in one.documents:
        return one.documents[initiative].path
    return one.folder / "spheres" / _sphere(one, code).lower() / f"{initiative}.yaml"


def _sphere(one: Catalogue, code: str, default: str = "") -> str:
    spheres = [s.code for s in one.head.spheres]
    return next((s for s in spheres if code.startswith(s)), default or spheres[0])


def _initiative(code: str, one: Catalogue, table: Table) -> Iterator[str]:
    initiative, spheres = code.partition("-")[0], [s.code for s in one.head.spheres]
    sphere = _sphere(one, code)
    if one.folder.parent == catalogues.SHIPPED:
        yield "# yaml-language-server: $schema=../../../../schema/initiative.schema.json\n"
    yield f"code: {initiative}\n"
    sure = code.startswith(sphere)
    yield (
        f"sphere: {sphere}"
        + ("" if sure else f"  # TODO: which of {', '.join(spheres)}? then move the file into its folder")
        + "\n"
    )
    yield (
        f"name:\n  en: {scalar(f'TODO: the initiative that {table.title} tell of')}\n  ru: 'TODO: название инициативы'\n"
        + ("  kk: 'TODO: бастаманың атауы'\n" if one.head.name.kk else "")
    )
    yield "named_in_order: false\ncategories: [republican, regional, district]\nkpis:\n"


def _entry(code: str, one: Catalogue, table: Table, rows: Counting, since: dt.date) -> str:
    """The KPI as an entry of its initiative's `kpis`."""
    initiative = next((i for i in one.initiatives if i.code == code.partition("-")[0]), None)
    categories = ", ".join(initiative.categories) if initiative else "republican, regional, district"
    kk = "      kk: 'TODO: атауы'\n" if one.head.name.kk else ""
    return f"""\
  - code: {code}
    version: 1
    valid_from: {since}
    change_note: 'TODO: why there is this KPI'
    name:
      en: 'TODO: its name, in English'
      ru: 'TODO: его название'
{kk}    description:
      en: 'TODO: which rows of {table.name} count, and when; what does not count'
      ru: 'TODO: какие строки учитываются'
    unit: {rows.unit}  # codes: kpi_definitions/units.yaml
    direction: higher  # TODO: which way is better: higher or lower (then turn the scale round)
    kind: {rows.kind}
    period: {rows.period}
    categories: [{categories}]
    scale: {rows.scale}
{rows.definition}    coverage: {{minimum: 1}}  # share of the period's months that must have been delivered
    minimum_sample: 1
    late_data_days: 10  # TODO: days after the period's end while late data may come
    standards: {{fit: none}}  # u4ssc, iso37120, iso37122, sdg, where one has a like indicator
"""


def _appended(path: Path, former: str, entry: str) -> str:
    """An initiative's text with one entry more. Raises FirstVersionError if its KPIs do not stand last, line by line."""
    document = read(path)
    last = [key for key in document.data if isinstance(key, str)][-1]
    indents = {len(line) - len(line.lstrip()) for line in former.splitlines() if line.lstrip().startswith("- code:")}
    if last != "kpis" or indents != {2}:
        raise FirstVersionError(
            f"{path}: `kpis:` is not its last part, written line by line behind two blanks: put the KPI in by hand, as the others are"
        )
    return former.rstrip("\n") + "\n" + entry


def _scales(
    one: Catalogue, code: str, rows: Counting, year: int, texts: dict[Path, str], additions: dict[Path, tuple[str, str]]
) -> None:
    """A scale in every version of the rules that governs a year of the KPI; in place of one that began before, the next version beside it."""
    if not one.assessments:
        return
    line = f"{code}: {{floor: {rows.floor}, goal: {rows.goal}}}  # TODO: the value that scores 0, and the one that scores 100"
    files = {
        rules.version: path
        for path in sorted((one.folder / "assessment").glob("*.yaml"))
        for rules in one.assessments
        if str(read(path).data["version"]) == rules.version
    }
    governing = next((r for r in reversed(one.assessments) if r.valid_from <= year), None)
    for rules in one.assessments:
        if rules is not governing and rules.valid_from <= year:
            continue
        path = files[rules.version]
        former = path.read_text(encoding="utf-8")
        if rules is governing and rules.valid_from < year:
            new = _next_version(rules, year, {r.version for r in one.assessments})
            texts[path.with_name(f"{new}.yaml")] = _with_scale(path, _renewed(former, new, year, code), line)
            continue
        used = rules.valid_from <= dt.datetime.now(dt.UTC).year and "TODO" not in former
        if used:
            raise FirstVersionError(
                f"{path}: rules {rules.version} govern years from {rules.valid_from} on and may have been used, so nothing is put into them: "
                f"let {code} begin a year later (--from {rules.valid_from + 1}-01-01), or, if they were never used, put in by hand: {line}"
            )
        additions[path] = (former, _with_scale(path, former, line))


def _next_version(rules: AssessmentRules, year: int, taken: set[str]) -> str:
    return next(v for n in range(1, 100) if (v := f"{year}.{n}") not in taken and v != rules.version)


def _renewed(former: str, version: str, year: int, code: str) -> str:
    """The text of rules as those of their next version."""
    heads: Mapping[str, str] = {
        "version": f"version: {scalar(version)}",
        "valid_from": f"valid_from: {year}              # first year assessed by these rules",
        "change_note": f"change_note: {scalar(f'As before, with a scale for {code}.')}",
    }
    lines, made, skipping = former.splitlines(), list[str](), False
    for line in lines:
        key = re.match(r"([a-z_]+):", line)
        if key:
            skipping = key[1] in heads
            if skipping:
                made.append(heads[key[1]])
                continue
        if skipping and (line.startswith((" ", "\t")) or not line.strip()):
            continue  # the former text, over several lines
        skipping = False
        made.append(line)
    return "\n".join(made) + "\n"


def _with_scale(path: Path, text: str, line: str) -> str:
    """Rules with one scale more, the first of them. Raises FirstVersionError if they do not stand line by line."""
    if none := re.search(r"^scales: \{\}", text, re.MULTILINE):
        return f"{text[: none.end() - 3]}{text[none.end() :].rstrip()}\n  {line}\n"
    found = re.search(r"^scales:[^\S\n]*(?:#[^\n]*)?\n([ ]+)\S", text, re.MULTILINE)
    if not found:
        raise FirstVersionError(f"{path}: its scales are not written line by line: put in by hand: {line}")
    return text[: found.start(1)] + f"{found[1]}{line}\n" + text[found.start(1) :]


def _steps(home: Home, code: str, file: Path, golden: Path, *, shipped: bool) -> Iterator[tuple[str, str]]:
    place = "" if home == Home.default() else f" --home {shlex.quote(str(home.root))}"
    yield (
        str(file),
        "decide every TODO, and take the word out: what is counted, its name, its scale (docs/add-a-kpi.md)",
    )
    yield str(golden), "think out what must come of each case, by the definition's words and not by a run"
    yield f"qala check{place}", "lists what is left"
    yield f"qala fingerprint{place}", "records what version 1 means: from now on a change of meaning is a new version"
    if shipped:
        yield "qala docs", "writes the KPI into docs/reference"
        yield f".venv/bin/python -m pytest -n0 tests/warehouse/test_golden.py -k {code}", "computes the golden cases"
        yield (
            "QALA_UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest -n0 tests/kpi_definitions/test_compiler.py",
            "records its SQL: read the difference (git diff)",
        )
    yield f"qala diff{place}", "what the next run would compute by it, before it does"
