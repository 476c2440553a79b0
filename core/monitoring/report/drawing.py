"""Histograms as SVG, drawn into the page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ...domain.monitoring import Histogram
from ...domain.text import one_line

_WIDTH, _HEIGHT, _BASE = 320, 110, 96
_LONGEST_LABEL = 40


def histogram(found: Histogram, column: str) -> str:
    """Returns two distributions over the same bins as one drawing, the reference behind the current rows; each bar
    says its figures when it is pointed at, and to a reader that does not see it."""
    bins = len(found.reference)
    if not bins:
        return ""
    most = max(*found.reference, *found.current, 1e-9)
    step = _WIDTH / bins
    bars = "".join(
        _bar(place, step, found.reference[place], found.current[place], most, label)
        for place, label in enumerate(labels(found))
    )
    first, last = (escape(text) for text in _ends(found))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(one_line(column))}: reference and now">'
        f'{bars}<line x1="0" y1="{_BASE}" x2="{_WIDTH}" y2="{_BASE}" class="base"/>'
        f'<text x="0" y="{_HEIGHT - 2}">{first}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 2}" text-anchor="end">{last}</text></svg>'
    )


def labels(found: Histogram) -> Iterator[str]:
    """Yields what each bin has: a value, or a range."""
    if found.names:
        yield from map(one_line, found.names)
        return
    for low, high in zip(found.edges, found.edges[1:], strict=False):
        yield f"{low:g} … {high:g}"


def _ends(found: Histogram) -> tuple[str, str]:
    if not found.names:
        return (f"{found.edges[0]:g}", f"{found.edges[-1]:g}") if found.edges else ("", "")
    texts = [one_line(name)[:_LONGEST_LABEL] for name in (found.names[0], found.names[-1])]
    return (texts[0], texts[1] if len(found.names) > 1 else "")


def _bar(place: int, step: float, before: float, now: float, most: float, label: str) -> str:
    left = place * step
    told = escape(f"{label}: reference {before:.2%}, now {now:.2%}")
    parts = [f"<g><title>{told}</title>"]
    for share, kind, inset, width in ((before, "before", 0.06, 0.88), (now, "now", 0.28, 0.44)):
        height = share / most * (_BASE - 4)
        parts.append(
            f'<rect class="{kind}" x="{left + step * inset:.2f}" y="{_BASE - height:.2f}" width="{step * width:.2f}"'
            f' height="{height:.2f}"/>'
        )
    return "".join((*parts, "</g>"))
