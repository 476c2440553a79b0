"""Cells and columns that several screens show alike: a run, a version, a state."""

from __future__ import annotations

from collections.abc import Callable

from ..core.domain import format as fmt
from ..core.domain.delivery import EnvironmentStatus
from ..core.domain.models import CHALLENGER, CHAMPION, PREVIOUS, Version
from ..core.domain.runs import Run
from ..tui.glyphs import Glyphs
from ..tui.widgets.pane import Cell, Span
from ..tui.widgets.table import Column
from . import canary

UNSEEN = "engine is not seen"
_ALIAS_ROLES = {CHAMPION: "ok!", CHALLENGER: "run!", PREVIOUS: "muted"}


def run_name(run: Run) -> str:
    """`release` for a pipeline; `promote production` for an operation."""
    if not run.is_operation:
        return run.name
    version = run.params.get("version", "")
    return f"{run.kind} {run.name}" + (f" v{version}" if version else "")


def run_time(run: Run, now: float) -> float | None:
    if run.started is None:
        return None
    return (run.ended if run.ended is not None else now) - run.started


def run_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[Run], ...]:
    def state(run: Run) -> Cell:
        glyph, role = glyphs().state(run.state)
        return ((f"{glyph} ", role), (f"{run.state}", role))

    def commit(run: Run) -> Cell:
        return ((run.commit[:7] + ("*" if run.dirty else ""), "muted"),)

    return (
        Column("run", lambda run: ((str(run.id), "accent"),), width=5, align="right", sort=lambda run: run.id),
        Column("state", state, width=13, sort=lambda run: run.state),
        Column("what", run_name, width=8, flex=3, sort=run_name),
        Column("commit", commit, width=8, sort=lambda run: run.commit, from_width=54),
        Column(
            "by",
            lambda run: ((run.trigger if run.trigger != "person" else run.who.split(" from ")[0], "muted"),),
            width=8,
            from_width=64,
            sort=lambda run: run.trigger,
        ),
        Column("why", lambda run: ((run.message or run.why, "muted"),), width=6, flex=5, from_width=84),
        Column(
            "time",
            lambda run: ((fmt.duration(run_time(run, clock())), "muted"),),
            width=6,
            align="right",
            sort=lambda run: run_time(run, clock()),
        ),
        Column(
            "ago",
            lambda run: ((fmt.age(run.created, clock()), "muted"),),
            width=4,
            align="right",
            sort=lambda run: -run.created,
        ),
    )


def run_text(run: Run) -> str:
    return (
        f"{run.id} {run.state} {run_name(run)} {run.commit} {run.branch} {run.trigger} {run.who} {run.message}"
        f" {run.why}"
    )


def alias_spans(version: Version) -> tuple[Span, ...]:
    spans: list[Span] = []
    for alias in sorted(version.aliases, key=lambda alias: (alias not in _ALIAS_ROLES, alias)):
        spans += [(alias, _ALIAS_ROLES.get(alias, "accent")), (" ", "")]
    return tuple(spans[:-1]) or (("", ""),)


def verdict_cell(glyphs: Glyphs, verdict: str | None) -> Cell:
    if verdict is None:
        return ((glyphs.text("– no gate"), "faint"),)
    glyph, role = glyphs.state(verdict)
    return ((f"{glyph} ", role), (str(verdict), role))


def health(status: EnvironmentStatus) -> tuple[str, str]:
    """(words, role): how an environment does, worst first."""
    if status.serving is None:
        return "serves nothing yet", "muted"
    ready = sum(replica.state == "ready" and replica.version == status.serving for replica in status.replicas)
    if not ready and any(replica.state == "unknown" for replica in status.replicas):
        return UNSEEN, "bad"
    if not status.proxy_alive:
        return ("proxy is gone", "bad") if status.replicas else ("was stopped", "warn")
    if not ready:
        return "no replica is ready", "bad"
    if status.canary is not None:
        return canary.brief(status.canary), canary.role(status.canary)
    if status.locked_by:
        return f"changing: {status.locked_by}", "run"
    if status.differences:
        return fmt.count(len(status.differences), "difference"), "warn"
    return f"{fmt.count(ready, 'replica')} ready", "ok"


_HEALTH_GLYPHS = {"ok": "ok", "bad": "bad", "warn": "warn", "run": "run", "muted": "idle", "wait": "wait"}


def health_cell(glyphs: Glyphs, status: EnvironmentStatus) -> Cell:
    words, role = health(status)
    return ((f"{glyphs[_HEALTH_GLYPHS[role]]} ", role), (words, role))
