"""Which metrics a project looks at, and which way each is better."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..domain.comparisons import Change
from ..domain.metrics import FACTS, MAXIMIZE, MINIMIZE
from ..domain.project import Project

_LIMIT = re.compile(r" (?:against|vs|at least|at most|≥|≤)(?: .*)?$")
_WORDS = re.compile(r"[a-z0-9]+")
# Words of the names that training gives its own metrics (`val_loss`, `train_f1_macro`), where no table knows them.
_SMALL = frozenset({"loss", "error", "err", "deviance", "perplexity"})
# How names begin of what is logged with its sign turned, so that more is better (`neg_mean_absolute_error`).
_TURNED = re.compile(r"\bneg (?:mean|median|root|max|log|brier|rmse|mae|mape)\b")


def chosen(project: Project | None) -> dict[str, str]:
    """Returns metric -> goal of those that the project looks at, in this order: what its `register` steps choose by,
    then what its gates check. The goal is empty where podium.yaml and the table of metrics say none."""
    found: dict[str, str] = {}
    if project is None:
        return found
    for pipeline in project.pipelines.values():
        for step in pipeline.steps.values():
            if step.uses == "register" and step.options.get("metric"):
                _note(found, str(step.options["metric"]), str(step.options.get("goal") or ""))
    for gate in project.gates.values():
        for check in gate.checks:
            if check.metric:
                goal = check.goal or (MINIMIZE if check.at_least is None and check.at_most is not None else "")
                _note(found, check.metric, goal if check.metric not in FACTS else check.goal)
    return found


def _note(found: dict[str, str], metric: str, goal: str) -> None:
    found[metric] = found.get(metric, "") or goal or goal_of(metric)


def goal_of(metric: str, known: Mapping[str, str] | None = None) -> str:
    """Returns `maximize` or `minimize`; empty where nothing tells. `f1 macro`, `valid_roc_auc` and `test_f1_macro` are
    what `f1` and `roc_auc` are; of several known names in one the longest counts. `dice_loss` and `f1_loss` are losses,
    and `neg_log_loss` is one with its sign turned."""
    if known and known.get(metric):
        return known[metric]
    words = _WORDS.findall(metric.lower())
    table = {**{name: facts.goal for name, facts in FACTS.items()}, **(known or {})}
    best = ""
    for name in table:
        if len(name) > len(best) and _holds(words, _WORDS.findall(name.lower())):
            best = name
    small = bool(_SMALL & set(words))
    if best and not (small and table[best] == MAXIMIZE and best not in (known or {})):
        goal = table[best]
    else:
        goal = MINIMIZE if small else ""
    return MAXIMIZE if goal == MINIMIZE and _TURNED.search(" ".join(words)) else goal


def _holds(words: list[str], part: list[str]) -> bool:
    return bool(part) and any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1))


def ideal_of(metric: str) -> float | None:
    facts = FACTS.get(metric.partition(" ")[0])
    return facts.ideal if facts is not None else None


def metric_of(check: str, known: Mapping[str, float]) -> str:
    """Returns the metric that a check of a report is about, by its name: the longest of `known` that it begins with,
    else its name without the limit (`roc_auc ≥ 0.65`, `latency p95 ≤ 50 ms`)."""
    found = max((name for name in known if check == name or check.startswith(f"{name} ")), key=len, default="")
    rest = check.removeprefix(found)
    # `f1 of yes ≥ 0.5` is another metric than `f1`.
    return found if found and (not rest or _LIMIT.fullmatch(rest)) else _LIMIT.sub("", check)


def change(goal: str, value: float, base: float, *, ideal: float | None = None) -> Change:
    """Returns what a value is beside the baseline's."""
    if value == base or (value != value and base != base):
        return Change.SAME
    if value != value or base != base:  # of NaN nothing can be said
        return Change.OTHER
    if ideal is not None and not goal:
        nearer = abs(value - ideal) - abs(base - ideal)
        return Change.OTHER if nearer == 0 else Change.BETTER if nearer < 0 else Change.WORSE
    if goal not in (MAXIMIZE, MINIMIZE):
        return Change.OTHER
    return Change.BETTER if (value > base) == (goal == MAXIMIZE) else Change.WORSE
