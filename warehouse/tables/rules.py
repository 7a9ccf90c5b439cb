"""What contracts demand of rows and of deliveries, and the law's words for it (Decree No. 830 of 2026).

A rule follows from a column's type, obligation, range or code list, from a quality entry, from a reference or from a service
level; `contracts.py` collects them into a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from warehouse.messages.messages import Message, figure, recorded, rendered
from warehouse.sql import literal, quoted
from warehouse.tables.identifiers import well_formed

# rules that every table has, by names that other modules ask for
REPEATED, DUPLICATE, TWINS = "key.unique", "key.duplicate", "key.twins"

# what a delivery is judged on: columns of its profile (connectors/delivery_gate/profile.py), and the expectations contracts may use
PROFILE = (
    "received",
    "accepted",
    "rejected",
    "rejected_percent",
    "duplicate_percent",
    "manifest_difference",
    "volume_ratio",
    "late_days",
)
_BETWEEN = "expect_column_values_to_be_between"
EXPECTATIONS = (
    _BETWEEN,
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_in_set",
)
# rules that hold a delivery against what it declares (connectors/delivery_gate/declaration_checks.py)
DAYS, DAYS_SHARE, KEY_REUSED, OTHER_SYSTEM, BYTES_ELSEWHERE = (
    "days",
    "days.share",
    "key.reused",
    "key.other-system",
    "bytes.elsewhere",
)
# rules on what a source contract makes of records (adr/0043): by the first three rows are rejected, by the others left out, told and counted
WHERE, KEY_ORDER, KEY_INCOMPLETE = "where", "key.order", "key.incomplete"
LEFT_OUT = "left-out."  # how the others begin
LEFT_OUT_WHERE, LEFT_OUT_EMPTY = f"{LEFT_OUT}where", f"{LEFT_OUT}empty"
LEFT_OUT_DUPLICATE, LEFT_OUT_COMBINED = f"{LEFT_OUT}duplicate", f"{LEFT_OUT}combined"
STRUCTURE = "structure"  # headers, encoding and format of a file
STRUCTURE_WORDS: Message = {"code": "rule.structure"}
# rules on personal data (docs/personal-data.md)
IDENTIFIES, FOUND_PERSONAL, OTHER_KEY = "personal.identifier", "personal.found", "personal.key"
# columns of the profile named after a column of the table
PROFILE_OF = ("null_percent__", "age_days__", "unmatched_percent__")
# the eight quality criteria of the law (Decree No. 830 of 2026), and the incident kind a failing ODCS dimension opens; their names in words
# are the messages criterion.… and incident_kind.…
CRITERIA = (
    "accuracy",
    "completeness",
    "interrelation",
    "comparability",
    "currency",
    "uniqueness",
    "truthfulness",
    "timeliness",
)
INCIDENT_KINDS: Mapping[str, str] = {
    "coverage": "coverage", "completeness": "completeness", "accuracy": "accuracy", "timeliness": "timeliness",
    "uniqueness": "uniqueness", "conformity": "consistency", "consistency": "integrity",
}  # fmt: skip
_CRITERION_OF = {
    "null_percent": "completeness", "age_days": "currency", "unmatched_percent": "interrelation",
    "manifest_difference": "completeness", "duplicate_percent": "uniqueness", "late_days": "timeliness",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """Something that must hold: of every row (`predicate`), or of a delivery (`expectation` on its profile)."""

    id: str
    words: Message  # what must hold
    dimension: str
    severity: str  # error: rejects the row, refuses the delivery; warning: is reported
    predicate: str | None = None  # SQL over the table's columns; only FALSE breaks it
    expectation: str | None = None  # Great Expectations type, e.g. expect_column_values_to_be_between
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    criterion: str = "truthfulness"  # of the law's eight
    column: str | None = None  # the one column whose cell the rule is about; None: about the row or the delivery

    def description(self, language: str) -> str:
        """What must hold, in a language."""
        return str(rendered(self.expected, language))

    @property
    def expected(self) -> str:
        """What must hold, as a finding records it."""
        return recorded(self.words)

    @property
    def incident_kind(self) -> str:
        """Of the law's eight kinds of incident, the one a failure is; `other` where none fits."""
        return INCIDENT_KINDS.get(self.dimension, "other")

    @property
    def check_name(self) -> str:
        """The rule's name where only letters, digits and underscores are allowed."""
        return "".join(c if c.isalnum() else "_" for c in self.id)


@dataclass(frozen=True)
class Reference:
    """A column whose values stand in a column of another table, in rows of the same settlement."""

    column: str
    table: str
    target: str


def custom(holder: Mapping[str, Any]) -> dict[str, Any]:
    """`customProperties` of any ODCS element as a mapping."""
    return {p["property"]: p["value"] for p in holder.get("customProperties", [])}


def is_identifier(prop: Mapping[str, Any], sql_type: str) -> bool:
    """Whether a column holds identifiers as far as its own contract tells: text of the key or a reference, and no code list."""
    listed = any("validValues" in (quality.get("arguments") or {}) for quality in prop.get("quality") or [])
    return sql_type.upper() == "VARCHAR" and not listed and bool(prop.get("primaryKey") or prop.get("relationships"))


def form_rule(name: str) -> Rule:
    """What an identifier must look like: see warehouse/tables/identifiers.py."""
    return Rule(
        f"{name}.form",
        {"code": "rule.form", "column": name},
        "conformity",
        "error",
        predicate=well_formed(quoted(name)),
        criterion="accuracy",
        column=name,
    )


def identifier_rule(name: str, kind: str) -> Rule:
    """What a cell of a personal column must be, as delivered: what stands in the warehouse is its pseudonym."""
    form = kind if kind in ("iin", "phone", "email") else "other"
    return Rule(
        f"{name}.identifier",
        {"code": "rule.identifier", "column": name, "form": {"code": f"identifier.{form}"}},
        "conformity",
        "error",
        predicate="",
        criterion="accuracy",
        column=name,
    )


def implied_rules(prop: Mapping[str, Any], sql_type: str) -> Iterator[Rule]:
    """What type, obligation, form, range, length and pattern of a column demand of its cell in each row."""
    name, col = prop["name"], quoted(prop["name"])
    options = prop.get("logicalTypeOptions", {})
    if sql_type.upper() != "VARCHAR":  # any text is text
        yield Rule(
            f"{name}.type",
            {"code": "rule.type", "column": name, "type": sql_type},
            "conformity",
            "error",
            predicate="",
            criterion="accuracy",
            column=name,
        )
    if prop.get("required") or prop.get("primaryKey"):
        yield Rule(
            f"{name}.required",
            {"code": "rule.required", "column": name},
            "completeness",
            "error",
            predicate=f"{col} IS NOT NULL",
            criterion="completeness",
            column=name,
        )
    if prop.get("classification") == "personal":
        yield identifier_rule(name, str(custom(prop).get("identifier", "other")))
    if is_identifier(prop, sql_type):
        yield form_rule(name)
    bounds = [(">=", "minimum"), (">", "exclusiveMinimum"), ("<=", "maximum"), ("<", "exclusiveMaximum")]
    parts = [f"{col} {sign} {literal(options[option])}" for sign, option in bounds if option in options]
    if parts:
        low, *high = [f"{sign} {options[option]}" for sign, option in bounds if option in options]
        both = {"code": "rule.both_bounds", "low": low, "high": ", ".join(high)} if high else low
        words = {"code": "rule.range", "column": name, "bounds": both}
        yield Rule(f"{name}.range", words, "accuracy", "error", predicate=" AND ".join(parts), column=name)
    lengths = [
        f"length({col}) {sign} {options[o]}" for sign, o in ((">=", "minLength"), ("<=", "maxLength")) if o in options
    ]
    if lengths:
        yield Rule(
            f"{name}.length",
            {"code": "rule.length", "column": name},
            "conformity",
            "error",
            predicate=" AND ".join(lengths),
            criterion="accuracy",
            column=name,
        )
    if "pattern" in options:
        yield Rule(
            f"{name}.pattern",
            {"code": "rule.pattern", "column": name, "pattern": options["pattern"]},
            "conformity",
            "error",
            predicate=f"regexp_full_match({col}, {literal(options['pattern'])})",
            criterion="accuracy",
            column=name,
        )


def qualities(body: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any], str | None]]:
    """Every quality entry with its place and the column it stands at, if any."""
    for index, prop in enumerate(body["properties"]):
        for number, quality in enumerate(prop.get("quality") or []):
            yield ("schema", 0, "properties", index, "quality", number), quality, prop["name"]
    for number, quality in enumerate(body.get("quality") or []):
        yield ("schema", 0, "quality", number), quality, None


def rule_of(quality: Mapping[str, Any], column: str | None) -> Rule | None:
    """What a quality entry demands of a row or of a delivery; None if it is of a kind nothing here judges."""
    how: dict[str, Any]
    metric, engine = quality.get("metric"), quality.get("engine")
    if (
        column
        and metric == "invalidValues"
        and quality.get("mustBe") == 0
        and "validValues" in quality.get("arguments", {})
    ):
        values = ", ".join(literal(v) for v in quality["arguments"]["validValues"])
        how = {"predicate": f"{quoted(column)} IN ({values})", "criterion": "comparability", "column": column}
    elif column and metric == "nullValues" and quality.get("unit") == "percent" and "mustBeLessOrEqualTo" in quality:
        kwargs = {"column": f"null_percent__{column}", "max_value": quality["mustBeLessOrEqualTo"]}
        how = {"expectation": _BETWEEN, "kwargs": kwargs, "criterion": "completeness"}
    elif metric == "rowCount" and "mustBeGreaterThan" in quality:
        kwargs = {"column": "received", "min_value": quality["mustBeGreaterThan"], "strict_min": True}
        how = {"expectation": _BETWEEN, "kwargs": kwargs, "criterion": "completeness"}
    elif engine == "greatExpectations" and _judgeable(quality["implementation"]):
        implementation = quality["implementation"]
        subject = implementation["kwargs"]["column"].partition("__")[0]
        criterion = _CRITERION_OF.get(subject, "truthfulness")
        how = {"expectation": implementation["type"], "kwargs": implementation["kwargs"], "criterion": criterion}
    elif engine == "qala":
        how = {"predicate": quality["implementation"], "criterion": "interrelation"}
    else:
        return None
    if "criterion" in custom(quality):
        how["criterion"] = custom(quality)["criterion"]
    dimension = quality.get("dimension", "accuracy")
    return Rule(quality["id"], _own_words(quality), dimension, quality.get("severity", "error"), **how)


def _own_words(quality: Mapping[str, Any]) -> Message:
    """What a contract itself says of its rule: in Russian and Kazakh as far as it says it in them."""
    own, english = custom(quality), quality.get("description", quality["id"])
    russian = own.get("descriptionRu", english)
    words = {"en": english, "ru": russian, "kk": own.get("descriptionKk", russian)}
    return {"code": "rule.own", "words": words}


def _judgeable(implementation: Mapping[str, Any]) -> bool:
    """Whether an expectation is one of those the second gate runs, over a column of the profile it runs on."""
    column = implementation.get("kwargs", {}).get("column", "")
    return implementation.get("type") in EXPECTATIONS and (column in PROFILE or column.startswith(PROFILE_OF))


def common_rules(key: Iterable[str], identifiers: Iterable[str] = ()) -> Iterator[Rule]:
    """What every delivery of every table must meet, whatever its contract says.

    Rows that give one key with different values are all rejected: which of them holds would depend on the order of lines. Rows
    that are full duplicates of another harm nothing: one is kept, and the others count as not loaded by a rule of their own, which
    fails no delivery and is left out of `rejected_percent` and `duplicate_percent`.
    """
    yield from _row_rules(", ".join(key))
    yield from _declaration_rules()
    yield from _personal_rules()
    yield from _file_rules()
    if names := ", ".join(identifiers):
        yield Rule(TWINS, {"code": "rule.twins", "columns": names}, "uniqueness", "warning", criterion="uniqueness")


def _on_rows(rule_id: str, words: Message, dimension: str, criterion: str = "truthfulness") -> Rule:
    """A rule that the first gate tries by itself on every row."""
    return Rule(rule_id, words, dimension, "error", predicate="", criterion=criterion)


def _row_rules(key: str) -> Iterator[Rule]:
    yield _on_rows(REPEATED, {"code": "rule.repeated_key", "key": key}, "uniqueness", "uniqueness")
    yield _on_rows(DUPLICATE, {"code": "rule.full_duplicate"}, "uniqueness", "uniqueness")
    yield _on_rows("scope", {"code": "rule.scope"}, "conformity", "accuracy")
    yield _on_rows(DAYS, {"code": "rule.days"}, "conformity", "accuracy")
    yield _on_rows(KEY_REUSED, {"code": "rule.key_reused", "key": key}, "uniqueness", "uniqueness")


def _declaration_rules() -> Iterator[Rule]:
    """What is held against the delivery's declaration, and against other deliveries."""
    yield Rule(DAYS_SHARE, {"code": "rule.days_share"}, "conformity", "warning", criterion="accuracy")
    yield Rule(OTHER_SYSTEM, {"code": "rule.other_system"}, "uniqueness", "warning", criterion="uniqueness")
    yield Rule(BYTES_ELSEWHERE, {"code": "rule.bytes_elsewhere"}, "uniqueness", "warning", criterion="uniqueness")


def _personal_rules() -> Iterator[Rule]:
    yield _on_rows(IDENTIFIES, {"code": "rule.identifies_person"}, "conformity")
    yield Rule(FOUND_PERSONAL, {"code": "rule.found_personal"}, "conformity", "warning")
    yield Rule(OTHER_KEY, {"code": "rule.other_key"}, "consistency", "warning")


def _file_rules() -> Iterator[Rule]:
    yield Rule(STRUCTURE, STRUCTURE_WORDS, "conformity", "error", criterion="comparability")
    yield Rule(
        "manifest-rows",
        {"code": "rule.manifest_rows"},
        "coverage",
        "error",
        expectation=_BETWEEN,
        kwargs={"column": "manifest_difference", "min_value": 0, "max_value": 0},
        criterion="completeness",
    )
    yield Rule(
        "repeated-keys",
        {"code": "rule.repeated_keys", "percent": 1},
        "uniqueness",
        "warning",
        expectation=_BETWEEN,
        kwargs={"column": "duplicate_percent", "max_value": 1},
        criterion="uniqueness",
    )


def agreed_rules(latency_days: int | None, references: Iterable[Reference]) -> Iterator[Rule]:
    """What the service levels and the references of a contract ask of a delivery."""
    if latency_days is not None:
        yield Rule(
            "on-time",
            {"code": "rule.on_time", "days": latency_days},
            "timeliness",
            "warning",
            expectation=_BETWEEN,
            kwargs={"column": "late_days", "max_value": 0},
            criterion="timeliness",
        )
    for one in references:
        yield Rule(
            f"{one.column}.reference",
            {"code": "rule.reference", "percent": 1, "column": one.column, "target": f"{one.table}.{one.target}"},
            "consistency",
            "warning",
            expectation=_BETWEEN,
            kwargs={"column": f"unmatched_percent__{one.column}", "max_value": 1},
            criterion="interrelation",
        )


TOLERANCE = 1.0  # per cent of a delivery's rows; our proposal
NOT_JUDGED = "finding.no_data"  # code of what is observed where a rule could not be judged
_NOT_JUDGED_ONCE = " = no data"  # how it ended when it was a sentence


def not_judged(measure: Message) -> str:
    """What is observed of a rule for which there is no data, as a finding records it."""
    return recorded({"code": NOT_JUDGED, "measure": measure})


def measured(measure: Message, value: float) -> str:
    """What is observed of a rule on a figure, as a finding records it."""
    return recorded({"code": "finding.measure", "measure": measure, "value": figure(value, 6)})


# SQL over audit.check_result AS found joined to audit.delivery AS delivery: was it judged, and does it fail its criterion
UNJUDGED = f"(starts_with(found.observed, '{{\"code\":\"{NOT_JUDGED}\"') OR found.observed LIKE '%{_NOT_JUDGED_ONCE}')"
FAILS = f"NOT found.passed AND (found.failing_rows IS NULL OR 100.0 * found.failing_rows > {TOLERANCE} * delivery.received_rows)"
