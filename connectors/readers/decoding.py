"""Bytes become text in UTF-8: by the contract's encoding, and refused where the letters show that it is another.

Every byte means something in an 8-bit page, so that a file in another page is read without an error and gives wrong letters. Letters that
neither Russian nor Kazakh has show some of these files; the header shows the rest (headers.py). UTF-8 is left to DuckDB to
check, row by row. Does not belong here: records and cells (readers.py).
"""

from __future__ import annotations

import codecs
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from connectors.personal_data.detection import harmless
from connectors.readers.headers import StructureError
from warehouse.messages.messages import Message

_BLOCK = 1 << 20
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# letters of other languages' Cyrillic, where a page of Kazakhstan's has letters of its own; frames of tables; what cannot be printed
_FOREIGN = frozenset("ЂђЃѓЅѕЈјЉљЊњЋћЌќЎўЏџ") | {chr(n) for n in (*range(0x80, 0xA0), *range(0x2500, 0x25A0))}
_SIGNS = frozenset("¤¦¬\u00ad®")  # where CP866 has д, ж, м, н, о
_LEAST = 3  # letters that tell nothing if they are fewer; our proposals, as the shares
_FOREIGN_SHARE, _SIGNS_SHARE = 0.001, 0.1


def decoded(path: Path, encoding: str, name: str, *, beginning: bool = False) -> Path:
    """The file in UTF-8 without a byte order mark: itself, or a new one beside it. Raises StructureError.

    `beginning`: it is the beginning of a longer one: it may end within a letter, and too few letters are there to tell another page.
    """
    with path.open("rb") as handle:
        start = handle.read(4)
    marked = _marked(start)
    if marked and not codecs.lookup(encoding).name.startswith(marked):
        raise StructureError("refusal.marked_otherwise", file=name, found=marked.upper(), encoding=encoding)
    plain_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    if plain_utf8 and not start.startswith(codecs.BOM_UTF8):
        return path
    target = path.with_suffix(".utf8")
    done = 0  # bytes
    page = _Letters(encoding) if _of_eight_bits(encoding) and not beginning else None
    try:
        with path.open("rb") as source, target.open("wb") as sink:
            if plain_utf8:
                source.seek(len(codecs.BOM_UTF8))
                shutil.copyfileobj(source, sink, _BLOCK)
                return target
            decoder = codecs.getincrementaldecoder(encoding)()
            while block := source.read(_BLOCK):
                if page:
                    page.count(block)
                text, held_back = decoder.decode(block), len(decoder.getstate()[0])
                sink.write((text if done else text.removeprefix("\ufeff")).encode("utf-8"))
                done = source.tell() - held_back
            sink.write(decoder.decode(b"", final=not beginning).encode("utf-8"))
    except UnicodeDecodeError as error:
        byte = done + error.start + 1
        raise StructureError("refusal.byte_of_other_encoding", file=name, byte=byte, encoding=encoding) from error
    except UnicodeError as error:
        said = harmless(error)
        raise StructureError("refusal.other_encoding", file=name, encoding=encoding, error=said) from error
    if page and (why := page.implausible()):
        raise StructureError("refusal.other_letters", file=name, encoding=encoding, why=why)
    return target


def holds_nul(path: Path) -> bool:
    """Whether a text holds the letter NUL: no record does, but files with holes do. Looking costs a tenth of a second a gigabyte."""
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK >> 2):
            if b"\0" in block:
                return True
    return False


def _marked(start: bytes) -> str:
    """The encoding that a byte order mark names, else nothing."""
    if start.startswith(_UTF32):
        return "utf-32"
    if start.startswith(_UTF16):
        return "utf-16"
    return "utf-8" if start.startswith(codecs.BOM_UTF8) else ""


@dataclass(frozen=True)
class _Page:
    """Which bytes of an 8-bit page are what."""

    foreign: bytes
    signs: bytes
    plain: bytes


@cache
def _page(encoding: str) -> _Page:
    letters = [bytes([n]).decode(encoding, "replace") for n in range(256)]

    def those(wanted: frozenset[str]) -> bytes:
        return bytes(n for n, letter in enumerate(letters) if letter in wanted)

    return _Page(those(_FOREIGN), those(_SIGNS), bytes(range(128)))


@cache
def _of_eight_bits(encoding: str) -> bool:
    """Whether every byte of an encoding is a letter, the first half of them those of ASCII."""
    ascii_letters = bytes(range(128))
    return (
        ascii_letters.decode(encoding, "replace") == ascii_letters.decode("ascii")
        and len(bytes(range(128, 256)).decode(encoding, "replace")) == 128
        and len(b"\xd0\xb0".decode(encoding, "replace")) == 2
    )


class _Letters:
    """Counts of bytes that show whether a text is in another page; 1 GB/s for each kind of byte that is counted."""

    def __init__(self, encoding: str):
        self.page = _page(encoding)
        self.beyond = self.foreign = self.signs = self.doubles = 0
        self.utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()

    def count(self, block: bytes) -> None:
        beyond = block.translate(None, self.page.plain)
        self.beyond += len(beyond)
        self.foreign += len(beyond) - len(beyond.translate(None, self.page.foreign))
        self.signs += len(beyond) - len(beyond.translate(None, self.page.signs))
        if self.utf8 and beyond:
            try:
                text = self.utf8.decode(block)
                self.doubles += sum(map(text.count, "аеинор"))
            except UnicodeDecodeError:
                self.utf8 = None  # as it should be

    def implausible(self) -> Message | None:
        """What gives another encoding away."""
        if self.utf8 and self.doubles >= _LEAST:
            return {"code": "letters.utf8"}
        if self.foreign >= _LEAST and self.foreign >= _FOREIGN_SHARE * self.beyond:
            return {"code": "letters.foreign", "letters": self.foreign}
        if self.signs >= _LEAST and self.signs >= _SIGNS_SHARE * self.beyond:
            return {"code": "letters.signs", "signs": self.signs}
        return None
