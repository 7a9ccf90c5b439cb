"""Where in a sheet or a text the rows are: the line that names the columns, units below it, totals and signatures at the end.

A guess for the first version of a contract, which marks it TODO; readers take what the contract says and guess nothing. Does not belong here:
what a layout may say (mapping/layout.py), what the columns mean (inference.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from connectors.mapping.layout import Layout

Line = Sequence[str]
LINES, LAST = 200, 40  # that are looked at, from the beginning and from the end
_HIGHEST = 40  # lines above a header; our proposal, as the next
_FILLED = 0.6  # share of the usual number of cells that a header fills at least
_HEADER_LINES = 4
_NEXT = 20  # lines below the header that tell what a record looks like
_NUMBER = re.compile(r"[-+]?[\d\s.,]*\d[\d\s.,]*%?")
_MOMENT = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?.*)?|\d{1,2}:\d{2}(:\d{2})?")
YEAR = re.compile(r"(19|20)\d\d")  # the one number that a column may be called
_ENDS = re.compile(
    r"(?i)(всего|итого|в том числе|барлығы|жиыны|жалпы|total|примечани|ескерту|исполнител|орындаушы|подпис|составил|ответствен|источник|\*)"
)


def layout_of(head: Sequence[Line], tail: Sequence[Line], *, sheet: bool) -> tuple[Layout, list[str]]:
    """The layout of a table and what is to be asked of it. `head`: the first lines from the very first, empty ones too; `tail`: the last ones.

    The defaults where its first line is its header (in a sheet the first that has anything) and nothing follows the records.
    """
    usual = _usual(head)
    last = next((n for n in range(min(len(head), _HIGHEST)) if _names_columns(head, n, usual)), None)
    if last is None:
        return Layout(), []
    lines = 2 if _goes_on(head, last, usual) else 1
    last += lines - 1 if _filled(head[last]) < usual and lines == 2 and not _repeats(head[last]) else 0
    while lines < _HEADER_LINES and _told_apart_below(head, last, lines):
        last, lines = last + 1, lines + 1
    skipped = _skipped(head, last + 1)
    footer = _footer([*head[last + 1 + skipped :], *tail] if len(head) < LINES else tail, usual)
    layout = Layout(header_row=last + 1, header_lines=lines, skip_after_header=skipped, footer=footer)
    if sheet and layout == replace(Layout(), header_row=layout.header_row) and not any(map(_filled, head[:last])):
        return Layout(), []  # what stands first is the header, as readers take it by themselves
    return layout, [*_asked(layout)] if layout != Layout() else []


def _asked(layout: Layout) -> Iterator[str]:
    first = layout.header_row - layout.header_lines + 1
    lines = f"line {layout.header_row}" if layout.header_lines == 1 else f"lines {first} to {layout.header_row}"
    below = f", and {layout.skip_after_header} below it are no records" if layout.skip_after_header else ""
    yield f"do the names of the columns stand in {lines}{below}?"
    if layout.footer:
        yield f"do the records end where a line begins with {', '.join(layout.footer)}?"


def _usual(lines: Sequence[Line]) -> float:
    """How many cells of a line are filled as a rule."""
    many = [n for n in map(_filled, lines) if n]
    return float(median(many)) if many else 0.0


def _filled(line: Line) -> int:
    return sum(bool(cell.strip()) for cell in line)


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()) or _MOMENT.fullmatch(cell.strip()))


def _all_words(line: Line) -> bool:
    cells = [cell for cell in line if cell.strip()]
    return bool(cells) and not any(map(_is_value, cells))


def _repeats(line: Line) -> bool:
    cells = [cell.strip() for cell in line if cell.strip()]
    return len(set(cells)) < len(cells)


def _names_columns(lines: Sequence[Line], place: int, usual: float) -> bool:
    """Whether a line is the header, or the first line of one: words alone, nearly as many as a record has cells, and records below."""
    line = [cell for cell in lines[place] if not YEAR.fullmatch(cell.strip())]
    if (
        not _all_words(line)
        or _filled(lines[place]) < max(2, _FILLED * usual)
        or not any(map(_filled, lines[place + 1 :]))
    ):
        return False
    return not _repeats(lines[place]) or _groups_above(lines, place)


def _groups_above(lines: Sequence[Line], place: int) -> bool:
    """Whether the line above names groups of columns: words in some of them."""
    return place > 0 and _all_words(lines[place - 1]) and 2 <= _filled(lines[place - 1]) < _filled(lines[place])


def _goes_on(lines: Sequence[Line], place: int, usual: float) -> bool:
    """Whether the header is of two lines: groups above it that tell names apart, or names below what it leaves empty."""
    if _repeats(lines[place]):
        return True
    after = lines[place + 1] if place + 1 < len(lines) else ()
    if _filled(lines[place]) >= usual or not _all_words(after) or not _filled(after):
        return False
    empty = [n for n, cell in enumerate(lines[place]) if not cell.strip()]
    below = [n for n, cell in enumerate(after) if cell.strip()]
    return bool(set(empty) & set(below)) and len(below) < len(after)


def _carried_on(line: Line) -> list[str]:
    """A line whose empty cells hold what stands to the left of them, as a group's name does."""
    found = [""]
    for cell in line:
        found.append(cell.strip() or found[-1])
    return found[1:]


def _told_apart_below(lines: Sequence[Line], last: int, count: int) -> bool:
    """Whether a header of `count` lines names two columns alike as far as `last`, and the line below has words to tell them apart."""
    after = lines[last + 1] if last + 1 < len(lines) else ()
    if not _all_words(after) or _filled(after) < 2:
        return False
    groups = [_carried_on(line) for line in lines[last - count + 1 : last]]
    width = max(map(len, lines[last - count + 1 : last + 1]))
    names = [
        " ".join(line[n].strip() for line in (*groups, lines[last]) if n < len(line))
        for n in range(width)
        if n < len(lines[last]) and lines[last][n].strip()
    ]
    return len(set(names)) < len(names)


def _skipped(lines: Sequence[Line], begin: int) -> int:
    """How many lines below the header are no records: numbers of columns, units."""
    count = 0
    while count < 3 and begin + count + 1 < len(lines):
        line, after = lines[begin + count], lines[begin + count + 1 : begin + count + 1 + _NEXT]
        if not (_numbers_columns(line, after) or _units(line, after)):
            break
        count += 1
    return count


def _numbers_columns(line: Line, after: Sequence[Line]) -> bool:
    """Whether a line counts the columns, where records do not hold numbers alone."""
    cells = [cell.strip().removesuffix(".0") for cell in line if cell.strip()]
    if len(cells) < 2 or cells not in ([str(n) for n in range(1, len(cells) + 1)], [str(n) for n in range(len(cells))]):
        return False
    return any(cell.strip() and not _NUMBER.fullmatch(cell.strip()) for one in after for cell in one)


def _units(line: Line, after: Sequence[Line]) -> bool:
    """Whether a line has words where the records below it have numbers or dates."""
    records = [one for one in after if _filled(one) > 1]
    if not records or not _all_words(line):
        return False
    for n, cell in enumerate(line):
        below = [one[n] for one in records if n < len(one) and one[n].strip()]
        if cell.strip() and below and sum(map(_is_value, below)) >= 0.8 * len(below):
            return True
    return False


def _footer(lines: Sequence[Line], usual: float) -> tuple[str, ...]:
    """How the first of the lines begins below which are no records; empty if records go on to the end."""
    found = ""
    for line in reversed(lines):
        cells = [cell.strip() for cell in line if cell.strip()]
        if not cells:
            continue
        few = len(cells) <= max(1, usual / 3) and not _is_value(cells[0])
        if not _ENDS.match(cells[0]) and not (few and usual > 2):
            break
        found = cells[0]
    words = re.split(r"[\s:,;.]", found.strip(), maxsplit=1)
    return (words[0],) if words[0] else ()
