"""What `qala verify` establishes, numbered, and the kinds of difference it can find. How each is found does not belong here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

SHOWN = 20  # differences of one kind that are named

ESTABLISHED: Mapping[int, str] = {
    1: "The folder of the release holds the files its manifest names, byte for byte, and no other",
    2: "The manifest is what the ledger says was released: its number, its counts, the SHA-256 of every export",
    3: "The manifest is signed by the key that was given (--key)",
    4: "The ledger is one unbroken chain",
    5: "The ledger contains every anchored head, and the release anchored with it is the one it names (--head)",
    6: "Schemas, tables, columns, views and comments are those this version of qala makes, and nothing else is in the file",
    7: "Every export is what the tables give by the views of this version of qala, and every sentence what its message says",
    8: "Deliveries, decisions and rejected rows are what was entered when they came",
    9: "Every row of the warehouse is sealed, and as it was sealed",
    10: "Definitions, registries and settings are what was entered",
    11: "Every value follows from its numerator and denominator, lies within its bounds, and can be walked back to deliveries",
    12: "The archive holds the bytes that were received, the receipts say what the ledger says, and nothing lies there that it does not know",
    13: "The warehouse beside the release knows it, and goes on from it",
}


class Kind(StrEnum):
    """A type for each kind of difference; `number` is what of ESTABLISHED does not hold because of it."""

    number: int

    def __new__(cls, value: str, number: int) -> Kind:
        one = str.__new__(cls, value)
        one._value_, one.number = value, number
        return one

    FILE_MISSING = "file-missing", 1
    FILE_CHANGED = "file-changed", 1
    FILE_FOREIGN = "file-foreign", 1
    LOG_PLANTED = "log-planted", 1
    MANIFEST_UNREADABLE = "manifest-unreadable", 1
    MANIFEST_OTHERWISE = "manifest-otherwise", 2
    EXPORT_NOT_RELEASED = "export-not-released", 2
    SIGNATURE_MISSING = "signature-missing", 3
    SIGNATURE_UNREADABLE = "signature-unreadable", 3
    SIGNATURE_OTHER_KEY = "signature-other-key", 3
    SIGNATURE_OTHER_CONTENT = "signature-other-content", 3
    LEDGER_GAP = "ledger-gap", 4
    LEDGER_CHAIN = "ledger-chain", 4
    LEDGER_ROW = "ledger-row", 4
    LEDGER_CUT = "ledger-cut", 5
    LEDGER_REWRITTEN = "ledger-rewritten", 5
    RELEASE_OTHER = "release-other", 5
    VERSION = "made-by-another-version", 6
    OBJECT_PLANTED = "object-planted", 6
    OBJECT_MISSING = "object-missing", 6
    OBJECT_REPLACED = "object-replaced", 6
    VIEW_CHANGED = "view-changed", 6
    COLUMN_CHANGED = "column-changed", 6
    CONSTRAINT_CHANGED = "constraint-changed", 6
    COMMENT_CHANGED = "comment-changed", 6
    EXPORT_NOT_DERIVED = "export-not-derived", 7
    SENTENCE = "sentence-not-derived", 7
    DELIVERY = "delivery-otherwise", 8
    DELIVERY_GONE = "delivery-gone", 8
    SEAL = "seal-otherwise", 9
    ROWS_CHANGED = "rows-changed", 9
    ROWS_GONE = "rows-gone-or-added", 9
    ROWS_UNSEALED = "rows-unsealed", 9
    DEFINITION = "definition-otherwise", 10
    REGISTRY = "registry-otherwise", 10
    SETTING = "setting-otherwise", 10
    VALUE = "value-not-from-its-parts", 11
    BOUNDS = "value-outside-its-bounds", 11
    LINEAGE = "value-without-lineage", 11
    BYTES = "bytes-otherwise", 12
    BYTES_FOREIGN = "bytes-foreign", 12
    RECEIPT_GONE = "receipt-gone", 12
    RECEIPT_CHANGED = "receipt-otherwise", 12
    RECEIPT_FOREIGN = "receipt-foreign", 12
    WAREHOUSE = "warehouse-otherwise", 13


@dataclass(frozen=True)
class Difference:
    """Something that is not as recorded or derived. `subject`: release, signature, ledger, schema, archive, or the kind of rows."""

    subject: str
    message: str
    kind: Kind


@dataclass(frozen=True)
class Verified:
    """What `qala verify` found. `head`: sequence and hash of the ledger, None if the release could not be opened."""

    differences: tuple[Difference, ...]
    unchecked: Mapping[int, str]  # number of what was not looked at: why
    head: tuple[int, str] | None

    def held(self, number: int) -> bool | None:
        """Whether it holds; None: it was not looked at, or not all of it, and nothing was found."""
        if any(d.kind.number == number for d in self.differences):
            return False
        return None if number in self.unchecked else True


def first_of_each(found: Iterable[Difference]) -> list[Difference]:
    """The first SHOWN of each kind and subject, and how many more there are."""
    shown: list[Difference] = []
    counts: dict[tuple[Kind, str], int] = {}
    for one in found:
        place = one.kind, one.subject
        counts[place] = counts.get(place, 0) + 1
        if counts[place] <= SHOWN:
            shown.append(one)
    more = [Difference(subject, f"and {n - SHOWN} more", kind) for (kind, subject), n in counts.items() if n > SHOWN]
    return shown + more
