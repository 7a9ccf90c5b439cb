"""The form of identifiers: one thing has one spelling, and what a person cannot tell apart is not told apart in silence.

An identifier is a text column of a table's key without a code list, a column that refers to another table, or one that is referred
to. The first gate brings each to its normal form and rejects what no system would number its records by; twins (connectors/delivery_gate/near_duplicates.py)
are spellings that differ by letter case, leading zeros or look-alike letters only. SQL over text, nothing else.
"""

from __future__ import annotations

from warehouse.sql import literal

# letters without a shape, at the edges of a cell as good as none: blanks, line ends, zero-width letters, the byte order mark
BLANKS = "".join(map(chr, (*range(0x21), 0x7F, 0x85, 0xA0, 0xAD, 0x180E, 0x1680, *range(0x2000, 0x2010), *range(0x2028, 0x2030), 0x205F,
                           *range(0x2060, 0x2065), 0x3000, 0x3164, 0xFEFF)))  # fmt: skip
# of those, the ones that may stand inside: a blank to be seen
_INVISIBLE = "".join(c for c in BLANKS if c not in " \xa0\u2007\u202f\u3000")
# capital letters of Cyrillic and Greek, and the Latin ones nobody can tell from them
_ALIKE = str.maketrans(
    "АВСЕНІЈКМОРЅТХУҮҺԚԜ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "ABCEHIJKMOPSTXYYHQW" + "ABEZHIKMNOPTYX",
)
_OTHER = "".join(map(chr, _ALIKE))
_LATIN = "".join(sorted({chr(c) for c in _ALIKE.values()}))


def _class(letters: str) -> str:
    """A class of a regular expression (RE2) of just these letters, as ranges: what is compiled anew for every file costs."""
    parts: list[list[int]] = []
    for number in sorted(map(ord, letters)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return "[" + "".join(f"\\x{{{low:X}}}-\\x{{{high:X}}}" for low, high in parts) + "]"


_BLANK = _class(BLANKS)
# Greek and Cyrillic stand side by side; classes like \p{L} take a hundred times as long to compile
_ANY_LATIN, _ANY_OTHER, _INSIDE = r"[A-Za-z]", r"[\x{370}-\x{52F}]", r"[0-9A-Za-z\x{300}-\x{52F}]*"
_LATIN_ALIKE, _OTHER_ALIKE = _class(_LATIN + _LATIN.lower()), _class(_OTHER + _OTHER.lower())
# Latin letters and others in one word, where one of them may be taken for a letter of the other alphabet
_MIXED = "|".join(
    f"{a}{_INSIDE}{b}"
    for one, two in ((_LATIN_ALIKE, _ANY_OTHER), (_ANY_LATIN, _OTHER_ALIKE))
    for a, b in ((one, two), (two, one))
)
# what spreadsheets make of a number or a code: 618.0, 1.01E+11, 1,01E+11, ="008", '008, #N/A
_SPREADSHEET = (
    r"^[+-]?[0-9]+[.,]0+$|^[+-]?[0-9]+([.,][0-9]+[Ee][+-]?|[Ee][+])[0-9]+$|^[='\x{2018}\x{2019}]|^#[A-Z/0]+[!?A]$"
)
_FAULTS = f"{_class(_INVISIBLE)}|{_SPREADSHEET}|{_MIXED}"


def blank(text: str) -> str:
    """Whether a text has no letter to be seen. SQL; NULL stays NULL."""
    return f"regexp_full_match({text}, {literal(_BLANK + '*')})"


def plain(text: str) -> str:
    """True only of texts that are in normal form and well formed: nearly all, told by comparing. SQL; else NULL.

    All of it is ASCII, the first letter no sign, no line end or tab in it; what begins with a digit has no point, comma or plus.
    """
    signs = " AND ".join(f"NOT contains({text}, {literal(c)})" for c in ".,+")
    number = f"({text} >= '0' AND {text} < ':' AND {signs})"
    shown = " AND ".join(f"NOT contains({text}, chr({c}))" for c in (9, 10, 13))
    return f"CASE WHEN strlen({text}) = length({text}) AND ({text} >= 'A' OR {number}) AND {shown} THEN TRUE END"


def normal(text: str) -> str:
    """An identifier's normal form: composed (NFC), nothing invisible at its edges; NULL if nothing is left. SQL.

    Of ASCII with a letter to be seen at both ends it is the text itself, which is told in a quarter of the time.
    """
    ends = f"{text} >= '!' AND {text} < chr(127) AND {text}[-1] BETWEEN '!' AND '~'"
    composed = f"regexp_replace(nfc_normalize({text}), {literal(f'^{_BLANK}+|{_BLANK}+$')}, '', 'g')"
    # NULLIF around all of it: it asks twice for what it is given, and inside a CASE DuckDB would work that out twice
    return f"nullif(CASE WHEN strlen({text}) = length({text}) AND {ends} THEN {text} ELSE {composed} END, '')"


def well_formed(text: str) -> str:
    """Whether a text in normal form can be an identifier as its system wrote it. SQL."""
    return f"NOT regexp_matches({text}, {literal(_FAULTS)})"


def folded(text: str) -> str:
    """What twins have in common: no letter case, no leading zeros of a number, look-alike letters as Latin ones. SQL."""
    latin = f"translate({upper(text)}, {literal(_OTHER)}, {literal(_OTHER.translate(_ALIKE))})"
    return without_zeros(latin)


def upper(text: str) -> str:
    """A text without letter case. SQL."""
    return f"upper({text})"


def without_zeros(text: str) -> str:
    """A text whose numbers have no leading zeros; digits behind a point or a comma are no number of their own. SQL."""
    return f"regexp_replace({text}, '(^|[^0-9.,])0+([0-9])', '\\1\\2', 'g')"


def has_zeros(text: str) -> str:
    """Whether some number in a text may have leading zeros; cheap, for many texts. SQL."""
    first = (
        f"CASE WHEN {text} >= '0' AND {text} < ':' THEN {text} < '1' ELSE regexp_matches({text}, '^[^0-9]*0[0-9]') END"
    )
    return f"({first} OR contains({text}, '-0') OR contains({text}, '/0') OR contains({text}, '_0') OR contains({text}, ' 0'))"
