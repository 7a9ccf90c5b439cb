"""Pseudonyms: what the warehouse has in place of a person's identifier. SQL of the reading pass (row_gate/reading_pass.py).

A value is brought to one form by its kind (`identifier` in the contracts) and replaced by HMAC-SHA-256 under the home's key, by 64
hexadecimal digits: always, also what looks like a hash already, as a plain hash of a number is found by trying all numbers. Each column
has a domain of its own, so that rows of two tables cannot be joined over a person unless their contracts say so (`pseudonymDomain`, or
a reference from one to the other). The key is kept in variables of the connection while the pass runs: never in SQL, nor in what
DuckDB says of it. Does not belong here: which columns get them (deidentification.py), keeping keys (warehouse/home/keys.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from connectors.mapping.cell_grammar import stripped
from connectors.mapping.classification import personal_columns
from connectors.mapping.source_contract import SourceContract, standard
from warehouse.home.keys import Key, current, needed
from warehouse.loading.deliveries import Delivery, Finding
from warehouse.messages.messages import recorded
from warehouse.sql import literal
from warehouse.store.store import Store
from warehouse.tables.contract_checks import IDENTIFIERS
from warehouse.tables.contracts import Table
from warehouse.tables.identifiers import normal
from warehouse.tables.rules import OTHER_KEY

# the pseudonym of an identifier that no contract classes personal: what it begins with, and how many digits: most may have 64 letters
MARK, DIGITS = "pseudonym-", 40
FORM = "[0-9a-f]{64}"  # of every other pseudonym, as the pattern of a contract
_BLOCK = 64  # bytes, of SHA-256
_SEPARATORS = r"[\p{Z}\p{Cf}\t-\r.()/_\x{2010}-\x{2015}\x{2212}-]"
_WEIGHTS = (range(1, 12), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2))


@dataclass(frozen=True)
class PseudonymKey:
    """The key of a run, and the store in which other keys may have made pseudonyms."""

    key: Key
    store: Store
    read_again: frozenset[int]  # deliveries whose rows are about to be made anew

    def others(self, table: Table) -> list[str]:
        """Ids of the other keys by which pseudonyms of rows that stand were made."""
        rows = self.store.con.execute(
            "SELECT delivery.delivery_id, ledger.detail->>'$.pseudonym_key' AS made_by "
            "FROM audit.delivery AS delivery JOIN audit.ledger AS ledger ON ledger.seq = delivery.loaded_seq "
            "WHERE delivery.table_name = ? AND delivery.state = 'loaded' AND made_by IS NOT NULL AND made_by <> ?",
            [table.name, self.key.id],
        ).fetchall()
        made = {delivery_id: made_by for delivery_id, made_by in rows if delivery_id not in self.read_again}
        if not made:
            return []
        held = (
            f"SELECT DISTINCT delivery_id FROM showcase.{table.name} WHERE delivery_id IN ({', '.join(map(str, made))})"
        )
        return sorted({made[d] for (d,) in self.store.con.execute(held).fetchall()})


def mixed_key_findings(key: PseudonymKey | None, table: Table, deliveries: Mapping[int, bool]) -> list[Finding]:
    """A finding for each delivery (and whether it has pseudonyms): rows that stand have some by other keys, which do not match."""
    others = key.others(table) if key and any(deliveries.values()) else []
    rule = next(r for r in table.delivery_rules if r.id == OTHER_KEY)
    one_key = recorded({"code": "finding.one_key"})
    observed = (
        recorded({"code": "finding.other_keys", "key": key.key.id, "others": others, "table": table.name})
        if key and others
        else one_key
    )
    return [
        Finding(
            one,
            rule.id,
            "warning",
            rule.dimension,
            not (others and has),
            observed if has else one_key,
            rule.expected,
        )
        for one, has in deliveries.items()
    ]


def pseudonym_key_for(
    store: Store, table: Table, waiting: Iterable[Delivery], sources: Mapping[tuple[str, str], SourceContract]
) -> PseudonymKey | None:
    """The home's key, if it has one. Raises MissingKeyError if it has none and a delivery that waits has personal columns."""
    waiting = list(waiting)
    contracts = {d.system: sources.get((d.system, table.name)) or standard(table) for d in waiting}
    personal = sorted({name for contract in contracts.values() for name in personal_columns(table, contract)})
    if personal:
        key: Key | None = needed(
            store.home,
            "pseudonym",
            f"{table.name}: {', '.join(personal)} hold personal data, {len(waiting)} deliveries wait",
        )
    else:
        key = current(store.home, "pseudonym")
    return PseudonymKey(key, store, frozenset(d.reread_of for d in waiting if d.reread_of is not None)) if key else None


class Pseudonyms:
    """A key at work on a connection."""

    def __init__(self, con: duckdb.DuckDBPyConnection, key: Key, table: Table):
        self._con = con
        self._names = {c.name: n for n, c in enumerate(table.columns)}
        for column in table.columns:
            secret = key.derived(f"domain {column.domain}").ljust(_BLOCK, b"\0")
            for side, pad in (("i", 0x36), ("o", 0x5C)):
                con.execute(f"SET VARIABLE {self._variable(side, column.name)} = ?", [bytes(b ^ pad for b in secret)])

    def of(self, column: str, text: str) -> str:
        """The pseudonym of a text. SQL; NULL stays NULL."""
        inner, outer = (f"getvariable('{self._variable(side, column)}')" for side in "io")
        return f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"

    def forget(self) -> None:
        for name in self._names:
            for side in "io":
                self._con.execute(f"RESET VARIABLE {self._variable(side, name)}")

    def _variable(self, side: str, column: str) -> str:
        return f"qala_{side}{self._names[column]}"


@contextmanager
def pseudonyms_on(con: duckdb.DuckDBPyConnection, key: Key | None, table: Table) -> Iterator[Pseudonyms | None]:
    """A key's pseudonyms for one pass; afterwards the connection knows nothing of it."""
    made = Pseudonyms(con, key, table) if key else None
    try:
        yield made
    finally:
        if made:
            made.forget()


def normal_form(kind: str, text: str, native: bool = False) -> str:
    """An identifier in the one form of its kind; NULL if it is none. SQL. `native`: a number in the file, without zeros before it."""
    assert kind in IDENTIFIERS
    if kind == "iin":
        return _iin(text, native)
    if kind == "phone":
        return _phone(text)
    if kind == "email":
        bare = f"lower({stripped(text)})"
        return f"CASE WHEN regexp_full_match({bare}, {literal('[^@ ]+@[^@ ]+[.][^@ .]+')}) THEN {bare} END"
    return normal(text)


def _without(text: str, separators: str) -> str:
    return f"regexp_replace({text}, {literal(separators)}, '', 'g')"


def _iin(text: str, native: bool) -> str:
    digits = f"CASE WHEN regexp_full_match({text}, '[0-9]{{12}}') THEN {text} ELSE {_without(text, _SEPARATORS)} END"
    if native:
        digits = f"lpad({digits}, greatest(length({digits}), 12)::INTEGER, '0')"
    first, second = (_rest("x", weights) for weights in _WEIGHTS)
    last = "(ascii(x[12]) - 48)"
    valid = f"CASE WHEN {first} < 10 THEN {first} = {last} ELSE {second} = {last} END"
    return (
        f"list_transform([{digits}], lambda x: CASE WHEN regexp_full_match(x, '[0-9]{{12}}') AND {valid} THEN x END)[1]"
    )


def _rest(digits: str, weights: Sequence[int]) -> str:
    total = " + ".join(f"{w} * (ascii({digits}[{n}]) - 48)" for n, w in enumerate(weights, 1))
    return f"(({total}) % 11)"


def _phone(text: str) -> str:
    """+ and digits; of Kazakhstan and Russia +7 and ten of them, however the trunk prefix is written."""
    whens = " ".join(
        f"WHEN regexp_full_match(x, {literal(pattern)}) THEN {made}"
        for pattern, made in (
            ("[+]?7[0-9]{10}|8[0-9]{10}", "'+7' || right(x, 10)"),
            ("7[0-9]{9}", "'+7' || x"),
            ("[+][0-689][0-9]{7,14}", "x"),
        )
    )
    return f"list_transform([{_without(text, _SEPARATORS)}], lambda x: CASE {whens} END)[1]"
