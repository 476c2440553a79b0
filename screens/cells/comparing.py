"""The cells and lines of a comparison: a value with what it is beside the baseline's, slices as a heat table, and one
row opened whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.domain.comparisons import TITLES, Change, ComparedCell, ComparedRow, Comparison, Kind
from ...core.domain.text import one_line
from ...core.domain.verdicts import Flips
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell, Span, cells_of, fit_both_ends
from ...tui.widgets.text_pane import Line

# What a change is shown by: a glyph of the table, and a role of the palette.
_LOOKS: Mapping[Change, tuple[str, str]] = {
    Change.BETTER: ("up", "ok"),
    Change.WORSE: ("down", "bad"),
    Change.UNCLEAR: ("near", "muted"),
    Change.OTHER: ("unequal", "accent"),
    Change.MISSING: ("dash", "warn"),
    Change.SAME: ("idle", "faint"),
}
_GOALS = {"maximize": "more is better", "minimize": "less is better"}
TELLING = 3  # inputs of a flipped row that are shown before it is opened
MOST_FLIPS = 40  # flipped rows that are listed
_LONG = 40  # characters from which a value is shown line by line
_MARKS = {"-": "bad", "+": "ok", " ": "muted"}
_HEAT = 5  # cells of a heat table's square with its gap, and what is beside it


def look(change: Change | None, glyphs: Glyphs) -> tuple[str, str]:
    """Returns (glyph, role) of what a value is beside the baseline's; for the baseline nothing and plain text."""
    if change is None:
        return "", ""
    name, role = _LOOKS[change]
    return glyphs[name], role


def value_cell(row: ComparedRow, cell: ComparedCell, cells: int, glyphs: Glyphs, strongest: float) -> Cell:
    """Returns a value with as much of its difference as there is room for: a glyph at least, then the difference, then
    the word. `strongest` is the greatest difference of the slices of its metric."""
    glyph, role = look(cell.change, glyphs)
    value = cell.text or glyphs["dash"]
    if cell.change in (Change.SAME, Change.MISSING):
        return (
            *_verdict(cell, value, cells, glyphs),
            (_shortened(value, cells, glyphs), "muted" if cell.text else role),
        )
    heat = _square(row, cell, strongest, glyphs) if row.kind is Kind.SLICE and cells >= cells_of(value) + _HEAT else ""
    room = cells - cells_of(heat)
    interval = f"({cell.interval}) " if cell.interval else ""
    ways = (f"{cell.difference} {interval}{cell.change}", f"{cell.difference} {cell.change}", cell.difference, "")
    for said in (f"{glyph} {' '.join(way.split(' '))}".replace("  ", " ").strip() for way in ways):
        whole = f"{value} {said}"
        if glyph and cells_of(whole) <= room:
            verdict = _verdict(cell, whole, room, glyphs)
            return ((heat, role), *verdict, (f"{value} ", ""), (said, role))
    if not glyph:
        return (*_verdict(cell, value, room, glyphs), (_shortened(value, room, glyphs), ""))
    return ((heat, role), (_shortened(value, room - 2, glyphs), ""), (f" {glyph}", role))


def _verdict(cell: ComparedCell, whole: str, room: int, glyphs: Glyphs) -> tuple[Span, ...]:
    """Returns the verdict's glyph where it has room beside the rest, and is not the value itself."""
    if cell.verdict is None or cell.value is None or cells_of(whole) + 2 > room:
        return ()
    mark, role = glyphs.state(cell.verdict)
    return ((f"{mark} ", role),)


def _shortened(text: str, cells: int, glyphs: Glyphs) -> str:
    text = one_line(text)
    return text if cells_of(text) <= cells else fit_both_ends(text, max(1, cells), glyphs)


def _square(row: ComparedRow, cell: ComparedCell, strongest: float, glyphs: Glyphs) -> str:
    """Returns a square that is the fuller the further a slice is from the baseline's."""
    if cell.delta is None or not strongest:
        return ""
    shades = glyphs.shades
    return shades[min(len(shades) - 1, int(abs(cell.delta) / strongest * len(shades)))] * 2 + " "


def strongest(rows: Sequence[ComparedRow]) -> dict[tuple[str, str], float]:
    """Returns (gate, metric) -> the greatest difference among its slices."""
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.kind is Kind.SLICE:
            deltas = [abs(cell.delta) for cell in row.cells if cell.delta is not None]
            found[row.of, row.name] = max([found.get((row.of, row.name), 0.0), *deltas])
    return found


def row_lines(
    comparison: Comparison,
    row: ComparedRow,
    at: int,
    difference: Sequence[tuple[str, str]],
    glyphs: Glyphs,
    *,
    opened: bool = False,
) -> list[Line]:
    """Returns a row whole: every value with its verdict, and long ones as `difference`, line by line. Of flipped rows
    the most telling inputs, and all of them where it was `opened`."""
    lines: list[Line] = [_about(row)]
    long = is_long(row)
    width = max(cells_of(_label(comparison, place)) for place in range(len(row.cells)))
    for place, cell in enumerate(row.cells):
        label = _label(comparison, place).ljust(width)
        lines.append(_subject(label, cell, place == at, long=long, glyphs=glyphs))
        if cell.words:
            lines.append(((" " * (width + 4), ""), (cell.words, "muted")))
        if cell.flips is not None:
            base = comparison.subjects[0].label
            lines += flipped_rows(cell.flips, base, glyphs, width + 4, None if opened else TELLING)
    if long:
        base, other = (comparison.subjects[place].label for place in (0, at))
        lines += [(), ((f"- only {base}", "bad"), ("   ", ""), (f"+ only {other}", "ok"))]
        lines += [((f"{mark} ", _MARKS[mark]), (line, _MARKS[mark])) for mark, line in difference]
    return lines


def flipped_rows(found: Flips, than: str, glyphs: Glyphs, indent: int, most: int | None) -> list[Line]:
    """Returns rows that are answered worse and better than by `than`, each with its `most` telling inputs, or all."""
    lines: list[Line] = []
    for each in found.rows[:MOST_FLIPS]:
        mark = glyphs["down" if each.worse else "up"]
        lines.append(
            (
                (f"{' ' * indent}{mark} row {each.row:<7,} ", "bad" if each.worse else "ok"),
                (found.words(each, than, most), ""),
            )
        )
    left = found.better + found.worse - min(MOST_FLIPS, len(found.rows))
    return [*lines, ((f"{' ' * indent}and {left:,} more", "faint"),)] if left else lines


def is_long(row: ComparedRow) -> bool:
    """Tells whether a row has a text that no cell shows whole."""
    return any(isinstance(value, str) and (len(value) > _LONG or "\n" in value) for value in row.values)


def _about(row: ComparedRow) -> Line:
    said = [
        f"measured by the gate {row.of}" if row.of else TITLES[row.kind],
        _GOALS.get(row.goal, ""),
        "the project looks at it" if row.chosen else "",
    ]
    return ((f"{row.title}  ", "head"), ("   ".join(part for part in said if part), "muted"))


def _label(comparison: Comparison, place: int) -> str:
    each = comparison.subjects[place]
    return " ".join([each.label, *each.aliases[:1]])


def _subject(label: str, cell: ComparedCell, here: bool, *, long: bool, glyphs: Glyphs) -> Line:
    glyph, role = look(cell.change, glyphs)
    spans: list[Span] = [(f"{glyphs['point'] if here else ' '} {label}  ", "accent!" if here else "muted")]
    text = one_line(cell.text) or glyphs["dash"]
    spans.append((text if not long or len(text) <= _LONG else f"{text[:_LONG]}{glyphs['ellipsis']}", ""))
    said = "baseline" if cell.change is None else f"{glyph} {cell.change_words}"
    spans.append((f"   {said}", role or "muted"))
    if cell.verdict is not None:
        mark, its_role = glyphs.state(cell.verdict)
        spans.append((f"   {mark} {cell.verdict}", its_role))
    return tuple(spans)
