"""Compares versions side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..domain.models import ComparedRow, Comparison, Version


def compare(versions: Sequence[Version]) -> Comparison:
    """Returns every metric, parameter and tag of any of the versions, by name. A row differs also if one version
    lacks the value."""
    rows: list[ComparedRow] = []
    for kind, tables in (
        ("metric", [version.metrics for version in versions]),
        ("param", [version.params for version in versions]),
        ("tag", [version.tags for version in versions]),
    ):
        rows += _rows(kind, tables)
    return Comparison(tuple(versions), tuple(rows))


def _rows(kind: str, tables: Sequence[Mapping[str, float] | Mapping[str, str]]) -> list[ComparedRow]:
    names = sorted({name for table in tables for name in table})
    rows: list[ComparedRow] = []
    for name in names:
        rows.append(compared(kind, name, tuple(table.get(name) for table in tables)))
    return rows


def compared(kind: str, name: str, values: tuple[str | float | None, ...]) -> ComparedRow:
    """Returns a row, which knows whether its values differ."""
    return ComparedRow(kind, name, values, differs=any(not _same(values[0], value) for value in values[1:]))


def _same(one: str | float | None, other: str | float | None) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return one == other
