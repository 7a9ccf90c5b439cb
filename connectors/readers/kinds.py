"""What a file is, seen from its first bytes: a table of some kind, a packing, or something that is not read and is called by its name.

The name a file has says nothing: pages of a login are saved as .xls, archives as .csv. Does not belong here: unpacking (unpacking.py), reading
what was found (readers.py), the parts of a workbook (compound_files.py has those of the old ones).
"""

from __future__ import annotations

import codecs
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from connectors.archive.bundle import is_bundle
from connectors.mapping.source_contract import SourceContract
from connectors.readers.compound_files import COMPOUND, DamagedError, streams_of
from connectors.readers.headers import StructureError, check_header, header_of


class Kind(StrEnum):
    """Kinds of files that hold rows; a contract's `format` is one of these words."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"
    XLS = "xls"
    ODS = "ods"
    JSON = "json"
    JSONL = "jsonl"
    XML = "xml"


class Packing(StrEnum):
    """What a file or several may be packed in."""

    GZIP = "gzip"
    ZIP = "zip"
    ZSTD = "zstd"
    BUNDLE = "bundle"


@dataclass(frozen=True)
class Other:
    """What is not read: the message that says so without its file, and what it is called."""

    code: str
    what: str


@dataclass(frozen=True)
class Part:
    """A file of a delivery as it came out of its packing: its name in messages, where it is, and what it is."""

    name: str
    path: Path
    kind: Kind


Seen = Kind | Packing | Other
START: Final = 1 << 16  # bytes that are looked at
ZIPPED, EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
WHOLE: Final = (ZIPPED, EMPTY_ZIP, COMPOUND)  # of these the beginning does not tell what they are
_DOCUMENT, _PACKED, _TABLE, _OLD = (
    "refusal.a_document",
    "refusal.other_packing",
    "refusal.other_table",
    "refusal.old_workbook",
)
_PAGE = Other("refusal.a_page", "HTML")
_BEGINNINGS: tuple[tuple[bytes, Seen], ...] = (
    (b"PAR1", Kind.PARQUET),
    (b"\x1f\x8b", Packing.GZIP),
    (b"\x28\xb5\x2f\xfd", Packing.ZSTD),
    (b"%PDF", Other(_DOCUMENT, "PDF")),
    (b"{\\rtf", Other(_DOCUMENT, "RTF")),
    (b"%!PS", Other(_DOCUMENT, "PostScript")),
    (b"\x89PNG", Other(_DOCUMENT, "PNG")),
    (b"\xff\xd8\xff", Other(_DOCUMENT, "JPEG")),
    (b"GIF8", Other(_DOCUMENT, "GIF")),
    (b"II*\0", Other(_DOCUMENT, "TIFF")),
    (b"MM\0*", Other(_DOCUMENT, "TIFF")),
    (b"AT&TFORM", Other(_DOCUMENT, "DjVu")),
    (b"Rar!\x1a\x07", Other(_PACKED, "RAR")),
    (b"7z\xbc\xaf\x27\x1c", Other(_PACKED, "7-Zip")),
    (b"BZh", Other(_PACKED, "bzip2")),
    (b"\xfd7zXZ\0", Other(_PACKED, "xz")),
    (b"\x5d\0\0", Other(_PACKED, "lzma")),
    (b"LZIP", Other(_PACKED, "lzip")),
    (b"\x04\x22\x4d\x18", Other(_PACKED, "LZ4")),
    (b"\x1f\x9d", Other(_PACKED, "compress (.Z)")),
    (b"MSCF", Other(_PACKED, "cabinet")),
    (b"\x60\xea", Other(_PACKED, "ARJ")),
    (b"SQLite format 3\0", Other(_TABLE, "SQLite")),
    (b"\0\x01\0\0Standard", Other(_TABLE, "Microsoft Access")),
    (b"ORC", Other(_TABLE, "ORC")),
    (b"Obj\x01", Other(_TABLE, "Avro")),
    (b"ARROW1", Other(_TABLE, "Arrow")),
    (b"FEA1", Other(_TABLE, "Feather")),
    (b"\x89HDF", Other(_TABLE, "HDF5")),
    (b"$FL2", Other(_TABLE, "SPSS")),
    (b"\x09\0\x04\0", Other(_OLD, "Excel 2")),
    (b"\x09\x02\x06\0", Other(_OLD, "Excel 3")),
    (b"\x09\x04\x06\0", Other(_OLD, "Excel 4")),
    (b"\x09\x08\x08\0", Other(_OLD, "Excel 5")),
)
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)  # a frame of zstd that holds nothing
_JSON = re.compile(r"\{\s*(\"|\}|$)|\[\s*([\[{\"\]\d-]|true|false|null|$)")
_PROLOGUE = re.compile(
    r"(\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s+(?P<type>[\w:.-]+)[^\[>]*(\[.*?\]\s*)?>)", re.DOTALL | re.IGNORECASE
)
_ELEMENT = re.compile(r"<(?P<name>[A-Za-z_][\w:.-]*)(?P<rest>[\s/>][^>]*)?")
_OF_PAGES = re.compile(r"html|head|body|table|div|script|style|meta|title|center|form|font|p|br|h1|link")
_SPREADSHEET_2003 = "urn:schemas-microsoft-com:office:spreadsheet"
_NO_LETTERS = re.compile(r"[\x00-\x08\x0e-\x19\x1c-\x1f]")
_USUAL = re.compile(r"[ -~\u0400-\u04ff]")
_FIRST_LINE = 1 << 12  # letters of it that are looked at


def seen(path: Path, contract: SourceContract) -> Seen:
    """What a file is. `contract`: by whose encoding a text would be read, and whose header tells a table from markup."""
    with path.open("rb") as handle:
        start = handle.read(START)
    if start.startswith((ZIPPED, EMPTY_ZIP)):
        return Packing.BUNDLE if is_bundle(start) else _zipped(path)
    if start.startswith(COMPOUND):
        return _compound(path)
    return _by_start(start) or _text(path, start, contract)


def part(found: Seen, path: Path, contract: SourceContract, name: str) -> Part:
    """A file that is not packed any more, if it is of a kind that is read, and of the contract's. Raises StructureError."""
    if isinstance(found, Other):
        raise StructureError(found.code, file=name, what=found.what)
    if isinstance(found, Packing):
        raise StructureError("refusal.packed_twice", file=name, what=found)
    return Part(name, path, _agreed(found, contract, name))


def _agreed(found: Kind, contract: SourceContract, name: str) -> Kind:
    if contract.format in ("", found):
        return found
    if (found, contract.format) == (Kind.JSON, Kind.JSONL):
        return Kind.JSONL  # of one line: it may be either
    raise StructureError(
        "refusal.other_format", file=name, found=found.upper(), format=contract.format, contract=contract.id
    )


def _by_start(start: bytes) -> Seen | None:
    for beginning, what in _BEGINNINGS:
        if start.startswith(beginning):
            return what
    if _SKIPPABLE.match(start):
        return Packing.ZSTD
    if start[257:262] == b"ustar":
        return Other(_PACKED, "tar")
    return Other(_TABLE, "dBASE (.dbf)") if _is_dbase(start) else None


def _is_dbase(start: bytes) -> bool:
    """By its first byte, the date of its last change, and how long its header says it is."""
    if len(start) < 33 or start[0] not in (0x03, 0x30, 0x31, 0x43, 0x83, 0x8B, 0xF5):
        return False
    header, record = int.from_bytes(start[8:10], "little"), int.from_bytes(start[10:12], "little")
    return 1 <= start[2] <= 12 and 1 <= start[3] <= 31 and header >= 33 and record > 0


def _zipped(path: Path) -> Seen:
    """An archive, or one of the documents that are archives themselves."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = {info.filename for info in packed.infolist()}
            mime = packed.open("mimetype").read(100).decode("ascii", "replace").strip() if "mimetype" in names else ""
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError, NotImplementedError, KeyError):
        return Packing.ZIP  # what is wrong with it is said when it is unpacked
    if mime.startswith("application/vnd.oasis.opendocument"):
        if "spreadsheet" in mime:
            return Kind.ODS
        return Other(_DOCUMENT, f"OpenDocument {mime.rpartition('.')[2]}")
    if "[Content_Types].xml" not in names:
        return Packing.ZIP
    folders = {name.partition("/")[0] for name in names}
    if "xl/workbook.bin" in names:
        return Other(_OLD, "XLSB")
    if "xl" in folders:
        return Kind.XLSX
    what = {"word": "Word (.docx)", "ppt": "PowerPoint (.pptx)", "visio": "Visio"}
    return next((Other(_DOCUMENT, what[f]) for f in sorted(folders) if f in what), Packing.ZIP)


def _compound(path: Path) -> Seen:
    """A workbook of Excel 97 to 2003, or one of the many other things that lie in such files."""
    try:
        names = streams_of(path)
    except DamagedError:
        return Other("refusal.damaged_compound", "OLE2")
    if names & {"EncryptedPackage", "EncryptionInfo"}:
        return Other("refusal.encrypted_workbook", "")
    if names & {"Workbook", "Book"}:
        return Kind.XLS
    if "WordDocument" in names:
        return Other(_DOCUMENT, "Word (.doc)")
    return Other(_DOCUMENT, "PowerPoint (.ppt)" if "PowerPoint Document" in names else "OLE2")


def _text(path: Path, start: bytes, contract: SourceContract) -> Seen:
    letters = _latin(start)
    found = _marked_up(letters, contract) or (_json(start) if _JSON.match(letters) else None)
    if found and (contract.format in ("", Kind.CSV) and _is_its_header(path, contract)):
        return Kind.CSV  # some headers are written in brackets: <DATE>;<VALUE>, [id];[name]
    return found or _plain(start, contract)


def _latin(start: bytes) -> str:
    """The beginning as letters of ASCII, in whichever encoding it is: markup and JSON begin with those."""
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        start = start.removeprefix(mark)
    few = start[:64]
    return (start.replace(b"\0", b"") if few.count(0) * 3 > len(few) else start).decode("latin-1").lstrip()


def _marked_up(letters: str, contract: SourceContract) -> Seen | None:
    if re.match(r"MIME-Version:", letters, re.IGNORECASE):
        return _PAGE
    if not letters.startswith("<"):
        return None
    at, declared, doctype = 0, letters.startswith("<?xml"), ""
    while prologue := _PROLOGUE.match(letters, at):
        at, doctype = prologue.end(), prologue["type"] or doctype
    root = _ELEMENT.match(letters, at)
    if root is None:
        return Kind.XML if at or letters.startswith(("<!", "<?")) else None
    name = root["name"].lower()
    if name == "html" or doctype.lower() == "html":
        return _PAGE
    wanted = contract.format == Kind.XML or bool(contract.layout.row_path)
    if _OF_PAGES.fullmatch(name.rpartition(":")[2]) and not (declared or wanted):
        return _PAGE
    if _SPREADSHEET_2003 in (root["rest"] or "") and not wanted:
        return Other(_OLD, "XML Spreadsheet 2003")
    return Kind.XML


def _json(start: bytes) -> Kind:
    """JSON, or lines of JSON: the first line is a whole value, and another follows."""
    text = start.decode(json.detect_encoding(start), "replace").removeprefix("\ufeff").lstrip()
    first, end, rest = text.partition("\n")
    if not end or not rest.lstrip().startswith(("{", "[")):
        return Kind.JSON
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return Kind.JSON
    return Kind.JSONL


def _is_its_header(path: Path, contract: SourceContract) -> bool:
    """Whether a text in UTF-8 begins with the contract's header."""
    try:
        check_header(header_of(path, contract, path.name), contract, path.name)
    except StructureError:
        return False
    return bool(contract.headers)


def _plain(start: bytes, contract: SourceContract) -> Seen:
    """CSV, if its first line is text by the contract's encoding."""
    encoding = contract.encoding
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"  # whether the contract has it so is seen to when it is decoded
    try:
        text = start.decode(encoding, "replace")
    except UnicodeError:  # what has no byte order mark and needs one
        return Kind.CSV
    line = re.split(r"[\r\n]", text[:_FIRST_LINE].lstrip("\ufeff\r\n"), maxsplit=1)[0]
    if not _NO_LETTERS.search(line):
        return Kind.CSV
    for other in ("utf-16-le", "utf-16-be"):
        guessed = start[:64].decode(other, "replace")
        if 2 * len(_USUAL.findall(guessed)) > len(guessed):
            return Other("refusal.unmarked", other)
    return Other("refusal.no_text", encoding)
