"""A story as Markdown. All text that is not ours stands in code: nothing in it is a link, a mention or a heading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...domain.evidence.story import Section, Story, Table
from ...domain.text import visible
from ...domain.text.format import moment
from ...hosting.markdown import code
from .document import shown

_LONGEST_CELL = 4000


def markdown(story: Story) -> str:
    """Returns the whole text."""
    lines = [f"# Evidence of {_code(story.title)}", ""]
    if story.environment:
        lines += [f"As {_code(story.environment)} served it at {moment(story.at or story.written)}.", ""]
    for section in story.sections:
        lines += [*_section(section), ""]
    return "\n".join(lines)


def _code(text: str) -> str:
    return code(visible(text), _LONGEST_CELL)


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    yield from (f"- {name}: {_code(shown(value))}" for name, value in section.facts)
    yield from (f"- *not recorded:* {_code(words)}" for words in section.missing)
    for table in section.tables:
        yield from _table(table)
    if section.text:
        fence = "`" * max(3, *(len(run) + 1 for run in (*re.findall(r"`+", section.text), "")))
        yield from ("", f"{fence}text", *map(visible, section.text.split("\n")), fence)


def _table(table: Table) -> Iterator[str]:
    yield ""
    yield f"**{_code(table.title)}**"
    yield ""
    if not table.rows:
        yield "none"
        return
    yield f"| {' | '.join(table.columns)} |"
    yield f"|{'---|' * len(table.columns)}"
    yield from (f"| {' | '.join(_code(shown(value)) for value in row)} |" for row in table.rows)
