"""A story as JSON, and how a value is written for people."""

from __future__ import annotations

import json
import math
from typing import Any

from ...domain.evidence.story import Cell, Section, Story, Table
from ...domain.text.format import moment

FORMAT = "urn:podium:evidence:1"
"""Names the form of the JSON."""


def document(story: Story) -> str:
    """Returns the story as JSON, with the keys of its sections and tables."""
    content = {
        "format": FORMAT,
        "project": story.project,
        "model": story.model,
        "version": story.version,
        "environment": story.environment or None,
        "at": moment(story.at),
        "written": moment(story.written),
        "sections": {section.key: _section(section) for section in story.sections},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        "facts": {name: _value(value) for name, value in section.facts},
        **{table.key: _rows(table) for table in section.tables},
        **({"text": section.text} if section.text else {}),
        "not_recorded": list(section.missing),
    }


def _rows(table: Table) -> dict[str, Any]:
    rows = [dict(zip(table.columns, map(_value, row), strict=True)) for row in table.rows]
    return {"title": table.title, "rows": rows}


def _value(value: Cell) -> Cell:
    """Returns the value as JSON has it, which knows no NaN and no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: Cell) -> str:
    """Returns a value for people: all digits of a number, a dash for what is not known."""
    return "–" if value is None or value == "" else str(value)
