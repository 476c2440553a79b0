"""A picture of what the app shows, as SVG: a fifth of what Textual's own export takes, and it asks nobody for a font."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI

WIDTH, HEIGHT, SIZE = (
    8,
    16,
    13.33,
)  # of a character, in pixels; the advance of most monospaced fonts is 0.6 of their size
_BASE = 12.25  # pixels from the top of a line to the foot of its letters


def draw(app: Any) -> str:
    """Returns the picture."""
    columns, rows = app.size
    lines = [list(_runs(strip)) for strip in app.screen._compositor.render_strips(app.size)]
    ground = _commonest(lines)
    classes: dict[str, str] = {}
    drawn: list[str] = []
    for number, runs in enumerate(lines):
        drawn += _grounds(runs, number, ground)
        drawn += _texts(runs, number, classes)
    styles = "".join(f".{name}{{{css}}}" for css, name in classes.items())
    size = f"{columns * WIDTH} {rows * HEIGHT}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" xml:space="preserve">\n'
        f"<style>text{{font:{SIZE}px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}}{styles}</style>\n"
        f'<rect width="100%" height="100%" fill="{ground}"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


Run = tuple[int, str, str, str]
"""The column that it begins at, its text, the colour behind it, and the CSS of its letters."""


def _runs(strip: Iterable[Segment]) -> Iterator[Run]:
    """Yields the parts of a line that look alike. Between two of them that do, blanks of another look are none."""
    column = 0
    pending: list[Any] = []
    for text, style, control in strip:
        if control or not text:
            continue
        ground, css = _look(style or Style())
        blank = not text.strip() and "underline" not in css
        if pending and ground == pending[2] and (blank or css == pending[3]):
            pending[1] += text
        else:
            if pending:
                yield tuple(pending)  # type: ignore[misc]
            pending = [column, text, ground, css]
        column += cell_len(text)
    if pending:
        yield tuple(pending)  # type: ignore[misc]


def _look(style: Style) -> tuple[str, str]:
    front = style.color.get_truecolor(DIMMED_MONOKAI) if style.color else DIMMED_MONOKAI.foreground_color
    back = style.bgcolor.get_truecolor(DIMMED_MONOKAI, foreground=False) if style.bgcolor else None
    back = back or DIMMED_MONOKAI.background_color
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = type(front)(*((one + other) // 2 for one, other in zip(front, back, strict=True)))
    css = f"fill:{front.hex}"
    css += ";font-weight:bold" if style.bold else ""
    css += ";font-style:italic" if style.italic else ""
    css += ";text-decoration:underline" if style.underline else ""
    return back.hex, css


def _commonest(lines: Sequence[Sequence[Run]]) -> str:
    count: dict[str, int] = {}
    for _, text, ground, _ in (run for runs in lines for run in runs):
        count[ground] = count.get(ground, 0) + len(text)
    return max(count, key=lambda each: count[each])


def _grounds(runs: Sequence[Run], line: int, ground: str) -> Iterator[str]:
    """Yields what is behind a line, where it is not what is behind all."""
    begin, until, colour = 0, 0, ground
    for column, text, behind, _ in (*runs, (0, "", "", "")):
        if behind != colour:
            if colour != ground and until > begin:
                place = f'x="{begin * WIDTH}" y="{line * HEIGHT}" width="{(until - begin) * WIDTH}"'
                yield f'<rect {place} height="{HEIGHT}" fill="{colour}"/>'
            begin, colour = column, behind
        until = column + cell_len(text)


def _texts(runs: Sequence[Run], line: int, classes: dict[str, str]) -> Iterator[str]:
    for column, text, _, css in runs:
        shown = text.strip()
        if not shown:
            continue
        begin = column + cell_len(text[: len(text) - len(text.lstrip())])
        name = classes.setdefault(css, f"c{len(classes)}")
        place = f'x="{begin * WIDTH}" y="{line * HEIGHT + _BASE}" textLength="{cell_len(shown) * WIDTH}"'
        yield f'<text class="{name}" {place}>{escape(shown, quote=False)}</text>'
