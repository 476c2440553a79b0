"""The rows of a comparison: verdicts, what gates measured, what training logged, parameters, the model, tags; in each
part first what the project looks at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from ..domain.comparisons import Change, ComparedCell, ComparedRow, Comparison, Kind, Subject
from ..domain.frozen import Frozen
from ..domain.metrics import MINIMIZE
from ..domain.models import CHAMPION
from ..domain.verdicts import CheckResult, Flips, GateReport
from . import goals

_NOISE = ("mlflow.", "podium.")


class Known(Frozen):
    """What is compared of one subject."""

    subject: Subject
    verdict: str = ""
    """The last word about it."""
    why: str = ""
    """What gave it, in a sentence."""
    reports: tuple[GateReport, ...] = ()
    """What gates said of it, newest first."""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    contents: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the model is, by name: `commit`, `signature`, …"""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


def compare(known: Sequence[Known], looked_at: Mapping[str, str] | None = None) -> Comparison:
    """Returns the comparison; `looked_at` are the metrics that the project looks at, with their goals. The champion is
    the baseline and comes first, else the first one is."""
    if not known:
        return Comparison((), ())
    goals_of = dict(looked_at or {})
    at = next((place for place, each in enumerate(known) if CHAMPION in each.subject.aliases), 0)
    ordered = (known[at], *known[:at], *known[at + 1 :])
    base = ordered[0].subject
    why = f"{base.label} is the {CHAMPION if CHAMPION in base.aliases else 'first that was named'}"
    rows = (
        _last_words(ordered),
        *_gate_rows(ordered, goals_of),
        *_flip_rows(ordered),
        *_metric_rows(ordered, goals_of),
        *_tables(Kind.PARAM, [each.params for each in ordered]),
        *_in_order([each.contents for each in ordered]),
        *_tables(Kind.TAG, [each.tags for each in ordered]),
    )
    return Comparison(tuple(each.subject for each in ordered), rows, why)


def _last_words(known: Sequence[Known]) -> ComparedRow:
    row = _plain(Kind.VERDICT, "last word", [each.verdict or None for each in known])
    cells = (replace(cell, words=each.why) for cell, each in zip(row.cells, known, strict=True))
    return replace(row, cells=tuple(cells))


# Texts


def _tables(kind: Kind, tables: Sequence[Mapping[str, str]]) -> list[ComparedRow]:
    names = sorted({name for table in tables for name in table})
    return [_plain(kind, name, [table.get(name) for table in tables]) for name in names]


def _in_order(tables: Sequence[Mapping[str, str]]) -> list[ComparedRow]:
    """Returns what the models are, in the order in which it is said."""
    names = dict.fromkeys(name for table in tables for name, text in table.items() if text)
    return [_plain(Kind.MODEL, name, [table.get(name) or None for table in tables]) for name in names]


def _plain(kind: Kind, name: str, values: Sequence[str | None]) -> ComparedRow:
    base = values[0]
    cells = [ComparedCell(base), *(ComparedCell(value, _other(value, base)) for value in values[1:])]
    differs = any(value != base for value in values)
    return ComparedRow(kind, name, tuple(cells), differs, noise=kind is Kind.TAG and name.startswith(_NOISE))


def _other(value: object, base: object) -> Change:
    if value == base:
        return Change.SAME
    return Change.MISSING if value is None or base is None else Change.OTHER


# What training logged


def _metric_rows(known: Sequence[Known], looked_at: Mapping[str, str]) -> list[ComparedRow]:
    names = sorted({name for each in known for name in each.metrics}, key=_rank(looked_at))
    return [
        _figures(Kind.METRIC, name, [each.metrics.get(name) for each in known], looked_at, name in looked_at)
        for name in names
    ]


def _rank(looked_at: Mapping[str, str]) -> _Rank:
    return _Rank(looked_at)


class _Rank:
    """Sorts names: what the project looks at in its order, then the others by name."""

    def __init__(self, looked_at: Mapping[str, str]) -> None:
        self._places = {name: place for place, name in enumerate(looked_at)}

    def __call__(self, name: str) -> tuple[int, str]:
        return self._places.get(name.partition(" ")[0] if name not in self._places else name, len(self._places)), name


def _figures(
    kind: Kind, name: str, values: Sequence[float | None], looked_at: Mapping[str, str], is_chosen: bool
) -> ComparedRow:
    goal = goals.goal_of(name, looked_at)
    base = values[0]
    cells = [ComparedCell(base), *(_figure(name, goal, value, base) for value in values[1:])]
    return ComparedRow(kind, name, tuple(cells), _differ(cells), goal, chosen=is_chosen)


def _figure(name: str, goal: str, value: float | None, base: float | None) -> ComparedCell:
    if value is None or base is None:
        return ComparedCell(value, Change.SAME if value is base else Change.MISSING)
    change = goals.change(goal, value, base, ideal=goals.ideal_of(name))
    return ComparedCell(value, change, value - base if math.isfinite(value - base) else None)


def _differ(cells: Sequence[ComparedCell]) -> bool:
    return any(cell.change not in (None, Change.SAME) for cell in cells)


# What gates measured


class _Measured(Frozen):
    """One value of a report."""

    value: float | None
    check: CheckResult | None
    """What was judged of it; the comparison with the champion rather than a limit."""
    report: GateReport


_Key = tuple[str, str, str]  # the gate, the metric, the slice


def _gate_rows(known: Sequence[Known], looked_at: Mapping[str, str]) -> list[ComparedRow]:
    found = [_measured(each.reports) for each in known]
    rank = _rank(looked_at)
    keys = sorted({key for table in found for key in table}, key=lambda key: (bool(key[2]), rank(key[1]), key))
    checked = {key for table in found for key, each in table.items() if each.check is not None}
    return [_gate_row(key, known, found, looked_at, key in checked) for key in keys]


def _measured(reports: Sequence[GateReport]) -> dict[_Key, _Measured]:
    """Returns what the newest report of each gate holds."""
    found: dict[_Key, _Measured] = {}
    for report in {each.gate: each for each in reversed(reports)}.values():
        for name, value in report.metrics.items():
            found[report.gate, name, ""] = _Measured(value, None, report)
        for check in report.checks:
            key = (report.gate, goals.metric_of(check.name, report.metrics), check.slice)
            before = found.get(key)
            compares = before is None or before.check is None or before.check.baseline is None
            if compares:
                value = check.value if check.value is not None or before is None else before.value
                found[key] = _Measured(value, check, report)
    return found


def _gate_row(
    key: _Key,
    known: Sequence[Known],
    found: Sequence[Mapping[_Key, _Measured]],
    looked_at: Mapping[str, str],
    is_chosen: bool,
) -> ComparedRow:
    gate, name, part = key
    goal = goals.goal_of(name, looked_at) or (MINIMIZE if name.startswith("latency") else "")
    base = found[0].get(key)
    number = known[0].subject.version.version if known[0].subject.version is not None else None
    cells = [_own(base) if base is not None else _as_champion(key, number, found)]
    cells += [_beside(name, goal, table.get(key), cells[0], number) for table in found[1:]]
    kind = Kind.SLICE if part else Kind.GATE
    return ComparedRow(kind, name, tuple(cells), _differ(cells), goal, gate, part, is_chosen)


def _flip_rows(known: Sequence[Known]) -> list[ComparedRow]:
    """Returns for each gate on how many rows, and which, a subject is right where the baseline is wrong, and the other
    way round."""
    base = known[0].subject
    number = base.version.version if base.version is not None else None
    found = [_flips(each.reports, number) for each in known[1:]]
    gates = sorted({gate for table in found for gate in table})
    return [
        ComparedRow(
            Kind.GATE,
            "flipped rows",
            (ComparedCell(), *(_flipped(table.get(gate), base.label) for table in found)),
            differs=True,
            of=gate,
        )
        for gate in gates
    ]


def _flips(reports: Sequence[GateReport], number: int | None) -> dict[str, Flips]:
    """Returns what the newest report of each gate says, where it compares with that version."""
    newest = {each.gate: each for each in reversed(reports)}
    return {
        gate: each.flips
        for gate, each in newest.items()
        if each.flips is not None and number is not None and each.champion == number
    }


def _flipped(found: Flips | None, base: str) -> ComparedCell:
    if found is None:
        return ComparedCell(change=Change.SAME)
    words = f"where {base} answers otherwise, and one of the two rightly"
    return ComparedCell(f"{found.worse:,} worse, {found.better:,} better", Change.OTHER, words=words, flips=found)


def _own(each: _Measured) -> ComparedCell:
    check = each.check
    verdict, words = (check.verdict, check.message) if check is not None else (None, "")
    return ComparedCell(each.value, verdict=verdict, words=words)


def _as_champion(key: _Key, number: int | None, found: Sequence[Mapping[_Key, _Measured]]) -> ComparedCell:
    """Returns the baseline's value as it was measured beside another one, where no report is about itself."""
    for table in found[1:]:
        each = table.get(key)
        if number is None or each is None or each.check is None or each.report.champion != number:
            continue
        if each.check.baseline is not None:
            return ComparedCell(each.check.baseline, words=f"measured in the gate of v{each.report.version}")
    return ComparedCell()


def _beside(name: str, goal: str, each: _Measured | None, base: ComparedCell, number: int | None) -> ComparedCell:
    if each is None:
        return ComparedCell(change=Change.SAME if base.value is None else Change.MISSING)
    check, own = each.check, _own(each)
    paired = check is not None and check.baseline is not None and each.report.champion == number
    if not paired or check is None or check.value is None or check.baseline is None:
        beside = _figure(name, goal, each.value, None if isinstance(base.value, str) else base.value)
        other = "measured on other rows than the baseline" if beside.delta is not None else ""
        words = "; ".join(filter(None, (own.words, other if _elsewhere(each, base) else "")))
        return ComparedCell(own.value, beside.change, beside.delta, verdict=own.verdict, words=words)
    # Reports have the interval in the direction where more is better.
    low, high = (check.low, check.high) if goal != MINIMIZE else (_less(check.high), _less(check.low))
    change = goals.change(goal, check.value, check.baseline, ideal=goals.ideal_of(name))
    if low is not None and high is not None and low <= 0 <= high and change in (Change.BETTER, Change.WORSE):
        change = Change.UNCLEAR
    return ComparedCell(own.value, change, check.value - check.baseline, low, high, own.verdict, own.words)


def _elsewhere(each: _Measured, base: ComparedCell) -> bool:
    return each.value is not None and base.value is not None


def _less(value: float | None) -> float | None:
    return None if value is None else -value
