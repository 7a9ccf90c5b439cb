"""Words of a column that would silently do nothing, or something else: codes, words for true and false, constants of an expression.

Does not belong here: whether a setting is of the right kind, what a code leads to (contract_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlglot import exp

from connectors.mapping.cell_grammar import Cell
from connectors.mapping.column_cells import is_word, texts
from connectors.mapping.transform import TransformError, transform
from kpi_definitions.documents import Document, Fault, Where
from kpi_definitions.expressions import ExpressionError, parse
from warehouse.tables.rules import custom
from warehouse.tables.settlements import settlements

_TRUTHS = ("trueValues", "falseValues")


def word_faults(
    document: Document, where: Where, prop: Mapping[str, Any], cell: Cell, logic: str | None, headers: Sequence[str]
) -> Iterator[Fault]:
    """`logic` and `headers`: the property's transformLogic, if it is sound, and the headers it names."""
    name, own = prop["name"], custom(prop)

    def fault(message: str, remedy: str) -> Fault:
        return document.fault((*where, "customProperties"), f"{name}: {message}", remedy)

    codes = own.get("codes", {})
    given = [key for key in ("codes", *_TRUTHS) if key in own]
    if kind := _no_text(logic, headers, given):
        yield fault(f"{', '.join(given)} of an expression that gives {kind}", "they stand for texts: take them out")
    if cell.sql_type != "BOOLEAN" and (wrong := [key for key in _TRUTHS if key in own]):
        yield fault(f"{', '.join(wrong)} of a column that is {cell.sql_type}", "write codes, or take them out")
    if not isinstance(codes, dict):
        return
    if truths := [code for code in codes if isinstance(code, bool)]:
        yield fault(f"code {truths[0]!r} was yes, no, true or false without quotes", "write it in quotes")
    bare = [str(code).strip() for code in codes]
    if twice := sorted({code for code in bare if bare.count(code) > 1}):
        yield fault(f"code {twice[0]!r} is given twice, but for blanks or quotes", "keep one of them")
    words = [w for key in _TRUTHS for w in own.get(key) or [] if is_word(w)] if given else []
    missing = {w.strip() for w in ("", *texts(custom(document.data).get("missingValues", [])))}
    if nothing := [w for w in (*bare, *(str(w).strip() for w in words)) if w in missing]:
        remedy = f"""use transformLogic: coalesce("header", {"'…'"}), or take it out of missingValues"""
        yield fault(f"{nothing[0]!r} is a cell with nothing, and no code of anything", remedy)
    if name == "kato" and (lost := [str(v) for v in codes.values() if str(v) not in settlements()]):
        yield fault(f"codes lead to {lost[0]!r}, which is no settlement", "see: qala settlements")


def _no_text(logic: str | None, headers: Sequence[str], given: Sequence[str]) -> str | None:
    if logic is None or not given:
        return None
    try:
        kind = transform(logic, tuple(headers)).sql_type
    except (ExpressionError, TransformError):  # told where it is understood
        return None
    return None if kind == "VARCHAR" else kind


def constants_of(logic: str) -> dict[str, str]:
    """Texts that are written into an expression and may be all that it gives: 'text' → the same, as codes are written."""
    todo, found = [parse(logic, ("transformLogic",))], dict[str, str]()
    while todo:
        node = todo.pop()
        if isinstance(node, exp.Paren):
            todo.append(node.this)
        elif isinstance(node, exp.Coalesce):
            todo += [node.this, *node.expressions]
        elif isinstance(node, exp.Case):
            todo += [branch.args["true"] for branch in node.args["ifs"]]
            todo += [node.args["default"]] if node.args.get("default") is not None else []
        elif isinstance(node, exp.Literal) and node.is_string:
            found[node.name] = node.name
    return found
