"""A story as one page of HTML that loads nothing, runs nothing and sends nothing, whatever is written in it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from html import escape

from ...domain.evidence.story import Cell, Section, Story, Table
from ...domain.text import visible
from ...domain.text.format import moment
from .document import shown

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# A longer word, such as a digest, may be broken in a cell, so that the others need not be.
_LONG_WORD, _PIECE = 24, 16
# A cell with more letters has room for a few words a line, whatever else is in the table.
_MANY_WORDS = 60
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --line: #d5d8dc; --soft: #f3f4f6; --warn: #8a5300; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e7e9; --paper: #16181b; --line: #3a3f45; --soft: #1f2226;
  --warn: #ffca7a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 72rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .4rem; border-bottom: 2px solid var(--line); }
nav a { display: inline-block; margin-right: .9rem; color: inherit; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; margin: 0; }
dt { opacity: .75; } dd { margin: 0; font-variant-numeric: tabular-nums; white-space: pre-wrap; }
.missing { color: var(--warn); margin: .4rem 0; } .missing::before { content: "not recorded: "; font-weight: 600; }
.wide { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; font-size: .86rem; width: 100%; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; } th { text-align: left; background: var(--soft); }
th, td { border: 1px solid var(--line); padding: .2rem .5rem; vertical-align: top; overflow-wrap: normal; }
td { max-width: 28rem; overflow-wrap: break-word; }
td.words { min-width: 16rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .7rem; overflow: auto; max-height: 40rem;
  font-size: .82rem; }
#card pre { white-space: pre-wrap; overflow-wrap: break-word; }
footer { margin-top: 2rem; font-size: .8rem; opacity: .75; }
@media print { body { max-width: none; padding: 0; } nav { display: none; }
  pre { max-height: none; overflow: visible; white-space: pre-wrap; overflow-wrap: anywhere; } }
"""


def page(story: Story) -> str:
    """Returns the whole page."""
    as_of = f"As {story.environment} served it at {moment(story.at or story.written)}." if story.environment else ""
    links = "".join(f'<a href="#{section.key}">{_text(section.title)}</a>' for section in story.sections)
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>Evidence of {_text(story.title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>Evidence of {_text(story.title)}</h1><p>{_text(as_of)}</p><nav>{links}</nav>",
            *(part for section in story.sections for part in _section(section)),
            f"<footer>Written {_text(moment(story.written) or '')}</footer></body></html>\n",
        )
    )


def _text(value: str) -> str:
    """Returns text in which nothing is markup, and nothing hides."""
    return escape("\n".join(visible(line) for line in value.split("\n")))


def _section(section: Section) -> Iterator[str]:
    yield f'<section id="{section.key}"><h2>{_text(section.title)}</h2>'
    yield from (f'<p class="missing">{_text(words)}</p>' for words in section.missing)
    if section.facts:
        pairs = (f"<dt>{_text(name)}</dt><dd>{_text(shown(value))}</dd>" for name, value in section.facts)
        yield f"<dl>{''.join(pairs)}</dl>"
    for table in section.tables:
        yield from _table(table)
    if section.text:
        yield f"<pre>{_text(section.text)}</pre>"
    yield "</section>"


def _table(table: Table) -> Iterator[str]:
    head = "".join(f"<th>{_text(column)}</th>" for column in table.columns)
    yield f'<div class="wide"><table><caption>{_text(table.title)}</caption><tr>{head}</tr>'
    for row in table.rows:
        yield f"<tr>{''.join(map(_cell, row))}</tr>"
    yield "</table></div>"


def _cell(value: Cell) -> str:
    numeric = isinstance(value, int | float) and (isinstance(value, int) or math.isfinite(value))
    words = "".join("<wbr>".join(map(_text, _pieces(word))) for word in re.split(r"(\s+)", shown(value)))
    kind = " class=number" if numeric else " class=words" if len(words) > _MANY_WORDS else ""
    return f"<td{kind}>{words}</td>"


def _pieces(word: str) -> list[str]:
    """Returns a word in the pieces that it may be broken into."""
    if len(word) <= _LONG_WORD:
        return [word]
    return [word[start : start + _PIECE] for start in range(0, len(word), _PIECE)]
