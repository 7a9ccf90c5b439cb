"""Pages for people made from contracts and definitions: `qala docs` writes them to docs/reference, a test keeps them true."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kpi_definitions.catalogue import Catalogues, units
from kpi_definitions.functions import DIALECTS, functions
from pipelines.methods.expression_docs import expressions_page
from pipelines.metrics import described
from warehouse.kpi_values.state_rules import CELL_RULES, ROLLUP_RULES, StateRule
from warehouse.messages import messages
from warehouse.messages.messages import sentence
from warehouse.tables import view_columns
from warehouse.tables.contracts import Table
from warehouse.tables.obs_status import ObsStatus
from warehouse.tables.passports import calculation, case_passports, standards
from warehouse.tables.rules import CRITERIA
from warehouse.tables.system_tables import FIXED

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
_MADE = "<!-- made by `qala docs` from contracts and definitions: do not edit -->\n"
_PASSPORT = (
    "code",
    "version",
    "Indicator",
    "Показатель",
    "Көрсеткіш",
    "What is counted",
    "Что считается",
    "Не есептеледі",
    "Breakdown",
    "Source",
    "Periodicity",
    "Calculation",
    "Unit",
    "Assumptions",
    "Standards",
    "Status",
    "Sign-off",
    "In force",
)


def pages(catalogue: Catalogues, tables: Mapping[str, Table]) -> dict[str, str]:
    """File name → text."""
    return {
        "data-dictionary.md": _dictionary(tables) + _system_tables() + _views(tables),
        "kpis.md": _kpis(catalogue, tables),
        "standards.md": _standards(catalogue),
        "calculation-states.md": _states(),
        "functions.md": _functions(),
        "expressions.md": _MADE + expressions_page(),
        "metrics.md": _MADE + described.in_words(),
    }


def pages_of_a_home(catalogue: Catalogues, tables: Mapping[str, Table]) -> dict[str, str]:
    """Those of them that a home's own tables and lists change. File name → text."""
    return {
        "data-dictionary.md": _dictionary(tables),
        "kpis.md": _kpis(catalogue, tables),
        "standards.md": _standards(catalogue),
    }


def write(texts: Mapping[str, str], folder: Path = FOLDER) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _dictionary(tables: Mapping[str, Table]) -> str:
    parts = [
        f"{_MADE}# Data dictionary of the showcase\n",
        "Every table also has `kato` (settlement), `delivery_id`, `row_no`, `sdu_load_in_dt` and `valid_from_seq`; a register (delivered as "
        "snapshots) has `snapshot_date`. Columns in bold are the key. Kazakh texts are not checked by a native speaker.\n",
    ]
    for table in tables.values():
        described = f"{table.description} {table.description_ru} {table.description_kk}"
        parts.append(f"\n## {table.name}\n\n**{table.title}** / {table.title_ru} / {table.title_kk}\n\n{described}\n")
        late = f"within {table.latency_days} days" if table.latency_days is not None else "no deadline agreed"
        kind = "register, delivered as snapshots" if table.snapshot else "facts, delivered by period"
        parts.append(f"\nSphere {table.domain}; {kind}; {late}; owner: {table.owner}.\n")
        refers = {r.column: f" → {r.table}.{r.target}" for r in table.references}
        rows = [
            (
                f"**{c.name}**" if c.name in table.key else c.name,
                c.sql_type + ("" if c.required else ", may be empty"),
                c.description + (f" [{c.unit}]" if c.unit else "") + refers.get(c.name, ""),
                c.description_ru,
                c.classification,
            )
            for c in table.columns
        ]
        parts.append(_table(("column", "type", "what it holds", "содержание", "class"), rows))
        by_criterion = [
            (
                f"{name} / {sentence(f'criterion.{name}', 'ru')}",
                "; ".join(dict.fromkeys(r.description("en") for r in table.all_rules if r.criterion == name)),
            )
            for name in CRITERIA
        ]
        parts.append(
            "\n" + _table(("criterion of the law", "rules"), [(n, text or "not judged") for n, text in by_criterion])
        )
    return "\n".join(parts)


def _system_tables() -> str:
    """The tables that no contract describes."""
    parts = [
        "\n# Registries, values and audit\n",
        "Tables that no contract describes; views of the release read them.\n",
    ]
    for name, (description, columns) in FIXED.items():
        parts.append(f"\n## {name}\n\n{description}.\n")
        rows = [
            (n, kind.rstrip("!") + ("" if kind.endswith("!") else ", may be empty"), said)
            for n, kind, said in (c.split(" ", 2) for c in columns)
        ]
        parts.append(_table(("column", "type", "what it holds"), rows))
    return "\n".join(parts)


def _views(tables: Mapping[str, Table]) -> str:
    """The views, column by column as DuckDB finds them; a name in three languages is one line."""
    import duckdb

    from warehouse.tables import ddl, views

    parts = [
        "\n# Views of the release\n",
        "They need no schema name. No restricted or suppressed value comes out of those said to be public; the others are for whoever may open "
        "the file. Ten questions answered by them: [analysts.md](../analysts.md).\n",
    ]
    with duckdb.connect() as con:
        meta = ddl.metadata(tables.values())
        con.execute("; ".join(ddl.ddl(meta)))
        views.make(con, made := views.all_views(tables))
        for name, (description, _) in made.items():
            columns = con.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE (schema_name, table_name) = ('main', ?) ORDER BY column_index",
                [name],
            ).fetchall()
            lines: dict[str, tuple[list[str], str, str]] = {}
            for column, kind in columns:
                key, language = view_columns.comment_key(name, column)
                said = view_columns.comment_of(name, key)
                lines.setdefault(f"{key} {bool(language)}", ([], kind, said))[0].append(column)
            parts.append(f"\n## {name}\n\n{description}.\n")
            parts.append(
                _table(
                    ("column", "type", "what it holds"),
                    [(", ".join(names), kind, said) for names, kind, said in lines.values()],
                )
            )
    return "\n".join(parts)


def _kpis(catalogue: Catalogues, tables: Mapping[str, Table]) -> str:
    parts = [f"{_MADE}# KPIs and their case passports\n"]
    passports = {(row[0], row[1]): row for row in case_passports(catalogue, tables)}
    for one in catalogue.lists:
        head = one.head
        unchecked = (
            f" Labels in {', '.join(head.unchecked_languages)} are not checked by a native speaker."
            if head.unchecked_languages
            else ""
        )
        parts.append(
            f"\n## {head.name.en} ({head.id} {head.version}, {head.status})\n\n{head.legal_basis.strip()}{unchecked}\n"
        )
        for initiative in one.initiatives:
            named = (
                "Named in the order itself."
                if initiative.named_in_order
                else f"{initiative.basis.capitalize()} list; {head.status}."
            )
            parts.append(f"\n### {initiative.code} {initiative.name.en} / {initiative.name.ru}\n\n{named}\n")
            for kpi in initiative.kpis:
                row = passports[kpi.code, kpi.version]
                parts.append(f"\n#### {kpi.code} {kpi.name.en}\n")
                shown = dict(zip(_PASSPORT, row, strict=True)) | {
                    "Unit": f"{kpi.unit}: {units()[kpi.unit]['en']}",
                    "Calculation": f"`{calculation(kpi)}`",
                }
                parts.append(
                    _table(
                        ("", ""),
                        [(name, str(value)) for name, value in shown.items() if name != "code" and value is not None],
                    )
                )
    return "\n".join(parts)


def _standards(catalogue: Catalogues) -> str:
    names = {code: catalogue.latest(code).name.en for code in catalogue.codes}
    rows = [
        (code, names[code], standard, indicator, name or "", fit)
        for code, standard, indicator, name, fit in standards(catalogue)
    ]
    return (
        f"{_MADE}# KPIs beside indicators of international standards\n\n`exact`: the same ratio; `close` and `partial`: see the KPI's passport. "
        "Names and the evidence for each code: `kpi_definitions/standards.csv`.\n\n"
        + _table(("KPI", "name", "standard", "indicator", "its name", "fit"), rows)
    )


def _states() -> str:
    statuses = [(status.state, status, "yes" if status.has_value else "no, with the reason") for status in ObsStatus]
    named = {clause.code for rule in (*CELL_RULES, *ROLLUP_RULES) for clause in rule.reason}
    others = [(code, *_said(code)) for code in messages.catalogue() if code.startswith("reason.") and code not in named]
    return (
        f"{_MADE}# Calculation states and their rules\n\nCodes of the SDMX list CL_OBS_STATUS. Never estimated, forecast, imputed or carried "
        f"forward (item 12(4)).\n\n{_table(('state', 'OBS_STATUS', 'value'), statuses)}\nFrom top to bottom, the first rule that holds gives the "
        f"state. Its reason is recorded as a code with its parts; the sentences made of it stand in `registry.message`, with what is in ‹› filled in.\n\n"
        f"## Cells\n\n{_rules(CELL_RULES)}\n## Roll-ups\n\n{_rules(ROLLUP_RULES)}\n## What parts of reasons are made of, and reasons of the assessment\n\n"
        f"{_table(('code', 'English', 'Russian', 'Kazakh'), others)}"
    )


def _rules(rules: Sequence[StateRule]) -> str:
    rows = []
    for number, rule in enumerate(rules, 1):
        codes = "; ".join(clause.code for clause in rule.reason)
        said = zip(*(_said(clause.code) for clause in rule.reason), strict=True) if rule.reason else [()] * 3
        rows.append(
            (str(number), rule.when, f"{rule.status.state} ({rule.status})", codes, *("; ".join(one) for one in said))
        )
    return _table(("", "when", "state", "reason", "English", "Russian", "Kazakh"), rows)


def _functions() -> str:
    rows = []
    for (name, family), function in functions().items():
        said = (
            f"`` {text} ``" if opposite is None else f"`` {text} ``; its opposite: `` {opposite} ``"
            for text, opposite in function.templates
        )
        rows.append((f"`{name}`", family.lower(), *said))
    return (
        f"{_MADE}# What a definition may say, engine by engine\n\nThe list is closed (`kpi_definitions/functions.yaml`; why: "
        "[0038](../adr/0038-a-closed-list-of-functions.md)): what has no line here is refused by `qala check`. `{a}`, `{b}` are what a function is put "
        "to, capitals are numbers. In ClickHouse and Spark a date is a whole number of days since 1970-01-01 and a time one of microseconds, without a "
        "zone; what DuckDB does in one function and others in several has lines of its own.\n\n"
        + _table(("function", "of", *DIALECTS), rows)
    )


def _said(code: str) -> tuple[str, ...]:
    """The sentences of a message in English, Russian and Kazakh, with its parts in ‹›."""
    return tuple(
        re.sub(r"\{(\w+)[^}]*\}", _placeholder, messages.catalogue()[code][language]) for language in ("en", "ru", "kk")
    )


def _placeholder(found: re.Match[str]) -> str:
    return "‹" + found[1].replace("_", " ") + "›"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

    return "\n".join([line(header), line(["---"] * len(header)), *map(line, rows)]) + "\n"
