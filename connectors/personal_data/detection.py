"""What identifies a person in a text: identification numbers, phones, e-mail addresses, bank cards; and texts without them.

One grammar for cells, records, names of files and messages. It sees numbers and addresses, not names of people: where a name may have
been written, the text is not shown at all, or by its shape (`shaped`). Does not belong here: what is done with which column
(mapping/classification.py, deidentification.py, rejected_values.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import duckdb

from warehouse.messages.messages import Message
from warehouse.sql import literal

MASK, WITHHELD = "«…»", "«withheld»"
_WEIGHTS = (range(1, 12), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2))
# what may be between the digits of one number: blanks of any width, dashes, points, brackets, slashes, letters without width
_BETWEEN = r"[\s\u00a0\u1680\u2000-\u200f\u2010-\u2015\u202f\u205f\u2060\u2212\u3000\ufeff.()/_-]"
_RUN = re.compile(rf"[+＋]?[(]?\d(?:{_BETWEEN}{{0,3}}\d){{9,}}")
_DIGITS = re.compile(r"\d+")
_MAIL = re.compile(r"[^\s@＠<>\"',;:()«»]+\s?[@＠]\s?[^\s@＠<>\"',;:()«»]+")
# with the trunk prefix; without it a mobile phone's: other numbers of ten digits begin alike, as codes of settlements do
_PHONE = re.compile(r"8[79]\d{9}|77\d{9}|7(?:0[0-8]|47|6[0-4]|7[1-8])\d{7}")
_CARD = re.compile(r"[2-6]\d{15}|3[47]\d{13}")
_LONGEST = 20  # digits without a break: no number of ours has so many, but two that lost the blank between them do
_GROUP = 8  # digits of one group, where several make one number: a settlement's code has nine
_MOST = 19
_LETTER = re.compile(r"[^\W\d_]")
_SCRUBBED, _NETTED, _SHAPED = "qala_scrubbed", "qala_netted", "qala_shaped"


def checked(digits: str) -> bool:
    """Whether twelve digits are an identification number (IIN, BIN) by their last one."""
    if len(digits) != 12 or not digits.isdecimal():
        return False
    for weights in _WEIGHTS:
        rest = sum(int(d) * w for d, w in zip(digits, weights, strict=False)) % 11
        if rest < 10:
            return rest == int(digits[11])
    return False


def born(digits: str) -> bool:
    """Whether twelve digits have a month, and a day or the kind of a legal person, where an identification number has them."""
    return "01" <= digits[2:4] <= "12" and ("01" <= digits[4:6] <= "31" or digits[4] in "456")


def _card(digits: str) -> bool:
    """Whether digits are a bank card's (Luhn)."""
    if not _CARD.fullmatch(digits):
        return False
    doubled = [int(d) * (2 if n % 2 else 1) for n, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _is_number(groups: Sequence[str], plus: bool, sure: bool) -> bool:
    """Whether groups of digits are one number that leads to a person."""
    digits = "".join(groups)
    if len(groups) > 1 and max(map(len, groups[1:] if groups[0] in "78" else groups)) > (
        10 if groups[0] in "78" else _GROUP
    ):
        return False
    if checked(digits) and (born(digits) or not sure):
        return True
    return bool(_PHONE.fullmatch(digits)) or (plus and 10 <= len(digits) <= 15) or _card(digits)


def _found(run: str, sure: bool) -> Iterator[tuple[int, int]]:
    """Where numbers stand in a run of digits and what may stand between them: (start, end), the longest first at each place."""
    groups = [(m.start(), m.end(), "".join(str(int(d)) for d in m[0])) for m in _DIGITS.finditer(run)]
    at = 0
    while at < len(groups):
        best, size, plus = 0, 0, at == 0 and run[0] in "+＋"
        for end in range(at, len(groups)):
            size += len(groups[end][2])
            if size > _MOST:
                break
            if size >= 10 and _is_number([g[2] for g in groups[at : end + 1]], plus, sure):
                best = end + 1
        if not best and _glued(groups[at][2], sure):
            best = at + 1
        if best:
            yield groups[at][0], groups[best - 1][1]
        at = best or at + 1


def _glued(digits: str, sure: bool) -> bool:
    """Whether digits without a break hold more than a number of ours has, or somebody's number among others."""
    parts = [] if sure else [digits[n : n + 12] for n in range(len(digits) - 11)]
    return len(digits) >= _LONGEST or any(checked(part) and born(part) for part in parts)


def scrubbed(text: str, sure: bool = False) -> str:
    """A text in which what gives a person away is replaced by «…».

    `sure`: of twelve digits with a valid check only those with a day of birth, or a month and a kind of legal person: one of eleven
    numbers has the check by chance.
    """
    if "@" in text or "＠" in text:
        text = _MAIL.sub(MASK, text)
    if len(text) < 10:
        return text

    def without(match: re.Match[str]) -> str:
        run, parts, last = match[0], list[str](), 0
        for start, end in _found(run, sure):
            parts += [run[last:start].rstrip("+＋("), MASK]
            last = end
        return "".join([*parts, run[last:]])

    return _RUN.sub(without, text)


def shaped(text: str) -> str:
    """A text by its shape: x for every letter, digits as they are unless they give a person away."""
    return scrubbed(_LETTER.sub("x", text))


def shape(text: str) -> list[Message]:
    """What a text is, as parts of a message: `12 digits`, `11 letters`."""
    letters, digits = len(_LETTER.findall(text)), sum(c.isdigit() for c in text)
    counts = {"letters": letters, "digits": digits, "signs": len(text) - letters - digits}
    return [{"code": f"shape.{what}", "number": n} for what, n in counts.items() if n] or [{"code": "shape.nothing"}]


def harmless(error: BaseException | str) -> str:
    """What an error of a library says, in a line, without what it quotes: that may be a cell."""
    said = str(error)
    quotes = [n for n, c in enumerate(said) if c in "\"'`“”«»‘’"]
    if quotes:
        said = said[: quotes[0]] + "…" + (said[quotes[-1] + 1 :] if len(quotes) > 1 else "")
    first = re.sub(r"[^\x00-\x7f]+", "…", said.strip().partition("\n")[0])
    return re.sub(r"\d{6,}", "…", scrubbed(first)).strip() or type(error).__name__


# --- SQL ---

# as one regular expression of RE2: what may hold something, never narrower than the grammar above. Plain classes: those of Unicode take
# a hundred times as long to compile, and a pass has dozens
_SEPARATORS = "[^0-9A-Za-z]{0,3}"
_NUMBERS = (
    ("[0-9]", "11"),
    ("[78]", "10"),
    ("7", "9"),
    ("[2-6]", "14,15"),
    (r"[+][(]?[0-9]", "9"),
)  # first digit, how many more
_LOOK = "|".join(
    (
        *(rf"(?:^|[^0-9]){first}(?:{_SEPARATORS}[0-9]){{{more}}}(?:[^0-9]|$)" for first, more in _NUMBERS[:4]),
        rf"{_NUMBERS[4][0]}(?:{_SEPARATORS}[0-9]){{{_NUMBERS[4][1]}}}",
        rf"[0-9]{{{_LONGEST}}}",
    )
)
_OTHER_DIGITS = r"[\x{660}-\x{669}\x{6F0}-\x{6F9}\x{FF0B}\x{FF10}-\x{FF19}]"


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Make the grammar known to a connection, for `scrub`, `net` and `masked`; it stays for as long as the connection."""
    try:
        con.execute(f"SELECT {_SCRUBBED}('')")  # to ask for the list of functions takes a hundred times as long
    except duckdb.CatalogException:
        for name, of in (
            (_SCRUBBED, lambda t: scrubbed(t)),
            (_NETTED, lambda t: scrubbed(t, sure=True)),
            (_SHAPED, shaped),
        ):
            # row by row: what is handed over as Arrow is freed while DuckDB (1.5.6; 2 was not tried) still reads long texts of it inside structs
            con.create_function(name, of, ["VARCHAR"], "VARCHAR")


def _may_tell(text: str, look: str) -> str:
    """Whether a text may hold what gives a person away; few do. SQL."""
    number = f"(strlen({text}) >= 10 AND regexp_matches({text}, {literal(look)}))"
    other = f"(strlen({text}) > length({text}) AND (contains({text}, '＠') OR regexp_matches({text}, {literal(_OTHER_DIGITS)})))"
    return f"(contains({text}, '@') OR {number} OR {other})"


def scrub(text: str) -> str:
    """As `scrubbed`: for what people write. SQL."""
    return f"CASE WHEN {_may_tell(text, _LOOK + '|[0-9]{13}')} THEN {_SCRUBBED}({text}) ELSE {text} END"


def scrub_few(text: str) -> str:
    """As `scrubbed`, where few rows are asked for it: nothing is compiled for all. SQL."""
    return f"{_SCRUBBED}({text})"


def net(text: str) -> str:
    """As `scrubbed` where it is sure: for texts that are codes and names of things. SQL."""
    return f"CASE WHEN {_may_tell(text, _LOOK)} THEN {_NETTED}({text}) ELSE {text} END"


def tells(text: str) -> str:
    """Whether `net` would change a text. SQL."""
    return f"CASE WHEN {_may_tell(text, _LOOK)} THEN {_NETTED}({text}) <> {text} ELSE FALSE END"


def masked(text: str) -> str:
    """As `shaped`: for what is kept of rejected rows. SQL."""
    return f"{_SHAPED}({text})"
