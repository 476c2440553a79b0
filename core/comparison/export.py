"""Writes a comparison as Markdown, CSV, HTML or JSON. Names and values come from outside: in none of these can they be
anything but text."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..domain.comparisons import TITLES, ComparedCell, ComparedRow, Comparison
from ..domain.text import one_line
from ..errors import UsageError

FORMATS = ("markdown", "csv", "html", "json")
_ENDINGS = {"md": "markdown", "markdown": "markdown", "csv": "csv", "html": "html", "htm": "html", "json": "json"}
_GLYPHS = {"better": "▲", "worse": "▼", "unclear": "≈", "differs": "≠", "missing": "–"}
# What Markdown reads as its own; any ASCII punctuation may be written with a backslash before it.
_MARKDOWN = str.maketrans({**{sign: f"\\{sign}" for sign in "\\`*_{}[]()#+-.!|~>$:"}, "<": "&lt;", "&": "&amp;"})
# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")


def format_of(name: str) -> str:
    """Returns the format that a file's name asks for. Raises UsageError for an ending that is none of them."""
    ending = name.rpartition(".")[2].lower()
    if ending not in _ENDINGS:
        raise UsageError(f"{name}: the ending says no format", hint="end it in .md, .csv, .html or .json")
    return _ENDINGS[ending]


def written(comparison: Comparison, form: str, rows: Sequence[ComparedRow]) -> str:
    """Returns `rows` of a comparison in one of FORMATS."""
    writers: Mapping[str, Callable[[Comparison, Sequence[ComparedRow]], str]] = {
        "markdown": _markdown,
        "csv": _csv,
        "html": _html,
        "json": lambda comparison, rows: json.dumps(document(comparison, rows), indent=2) + "\n",
    }
    if form not in writers:
        raise UsageError(f"{form} is no format of a comparison", hint=f"it is one of {', '.join(FORMATS)}")
    return writers[form](comparison, rows)


# Markdown


def _markdown(comparison: Comparison, rows: Sequence[ComparedRow]) -> str:
    labels = [_title(comparison, place) for place in range(len(comparison.subjects))]
    heads = ["", "", *map(_mark, labels)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for row in rows:
        name = f"**{_mark(row.title)}**" if row.chosen else _mark(row.title)
        lines.append(_line([_mark(_kind(row)), name, *(_mark(_words(cell)) for cell in row.cells)]))
    return "\n".join([_mark(f"{comparison.why}."), "", *lines]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mark(text: str) -> str:
    return one_line(text).translate(_MARKDOWN).replace("@", "&#64;")


# CSV


def _csv(comparison: Comparison, rows: Sequence[ComparedRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    labels = [each.label for each in comparison.subjects]
    beside = [f"{label} {what}" for label in labels[1:] for what in ("change", "delta", "low", "high", "verdict")]
    writer.writerow(["kind", "of", "name", "slice", "goal", "differs", *labels, *beside])
    for row in rows:
        more = [_plain(value) for cell in row.cells[1:] for value in _figures(cell)]
        head = [TITLES[row.kind], row.of, row.name, row.part, row.goal, str(row.differs).lower()]
        writer.writerow([*map(_plain, head), *(_plain(cell.value) for cell in row.cells), *more])
    return out.getvalue()


def _figures(cell: ComparedCell) -> tuple[str | float | None, ...]:
    return (str(cell.change or ""), cell.delta, cell.low, cell.high, str(cell.verdict or ""))


def _plain(value: str | float | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


# HTML

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#1f252d;background:#fff}"
    "table{border-collapse:collapse}th,td{border:1px solid #d0d4da;padding:.3em .7em;text-align:left;"
    "vertical-align:top;max-width:32em;overflow-wrap:anywhere}td.v{text-align:right}th{background:#f1f2f4}"
    ".better{color:#22772c}.worse{color:#b3261e}.unclear,.differs,.missing{color:#5f6875}.chosen{font-weight:600}"
)


def _html(comparison: Comparison, rows: Sequence[ComparedRow]) -> str:
    heads = "".join(
        f'<th scope="col">{_safe(_title(comparison, place))}</th>' for place in range(len(comparison.subjects))
    )
    body = "\n".join(_html_row(row) for row in rows)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Comparison</title><style>{_STYLE}</style></head>\n<body><p>{_safe(comparison.why)}.</p>\n"
        f'<table><thead><tr><th scope="col">part</th><th scope="col">name</th>{heads}</tr></thead><tbody>\n{body}\n'
        "</tbody></table></body></html>\n"
    )


def _html_row(row: ComparedRow) -> str:
    cells = "".join(f'<td class="v {cell.change or ""}">{_safe(_words(cell))}</td>' for cell in row.cells)
    chosen = ' class="chosen"' if row.chosen else ""
    return f'<tr><td>{_safe(_kind(row))}</td><th scope="row"{chosen}>{_safe(row.title)}</th>{cells}</tr>'


def _safe(text: str) -> str:
    return html.escape(one_line(text))


# JSON


def document(comparison: Comparison, rows: Sequence[ComparedRow]) -> dict[str, Any]:
    """Returns what a program reads of a comparison; numbers that JSON does not have are null."""
    return {
        "subjects": [
            {
                "label": each.label,
                "version": each.version.version if each.version is not None else None,
                "run": each.run.id if each.run is not None else None,
                "aliases": list(each.aliases),
                "baseline": place == 0,
            }
            for place, each in enumerate(comparison.subjects)
        ],
        "rows": [_row(row) for row in rows],
    }


def _row(row: ComparedRow) -> dict[str, Any]:
    return {
        "kind": row.kind.value,
        "name": row.name,
        "values": [_finite(value) for value in row.values],
        "differs": row.differs,
        "of": row.of,
        "slice": row.part,
        "goal": row.goal,
        "chosen": row.chosen,
        "beside": [_beside(cell) for cell in row.cells],
    }


def _beside(cell: ComparedCell) -> dict[str, Any]:
    return {
        "change": cell.change.value if cell.change is not None else None,
        "delta": _finite(cell.delta),
        "low": _finite(cell.low),
        "high": _finite(cell.high),
        "verdict": cell.verdict.value if cell.verdict is not None else None,
        "words": cell.words,
        "flips": asdict(cell.flips) if cell.flips is not None else None,
    }


def _finite(value: str | float | None) -> str | float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# What several of them have


def _title(comparison: Comparison, place: int) -> str:
    each = comparison.subjects[place]
    words = [*each.aliases, *(["baseline"] if place == 0 else [])]
    return f"{each.label} ({', '.join(words)})" if words else each.label


def _kind(row: ComparedRow) -> str:
    return f"{TITLES[row.kind]} {row.of}".strip()


def _words(cell: ComparedCell) -> str:
    """Returns a value with what it is beside the baseline's: a glyph and a word, the difference and its interval."""
    glyph = _GLYPHS.get(cell.change.value, "") if cell.change is not None else ""
    verdict = cell.verdict.value if cell.verdict is not None else ""
    said = f"{glyph} {cell.change_words}" if glyph else ""
    return "  ".join(part for part in (cell.text or "–", said, verdict) if part)
