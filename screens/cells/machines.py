"""Columns of what steps have of this machine and of a cluster."""

from __future__ import annotations

from collections.abc import Callable

from ...core.domain.machines.cluster import ClusterJob, ClusterNode
from ...core.domain.machines.machine import MachineClaim
from ...core.domain.text import format as fmt
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell
from ...tui.widgets.table import Column

_STATES = {"running": ("run", "run"), "waiting": ("wait", "wait"), "alive": ("ok", "ok"), "dead": ("bad", "bad")}


def _state(glyphs: Glyphs, state: str) -> Cell:
    glyph, role = _STATES.get(state.lower(), ("wait", "wait"))
    return ((f"{glyphs[glyph]} {state.lower()}", role),)


def _since(at: float | None, now: float) -> Cell:
    return ((fmt.age(at, now) if at else "", "muted"),)


def claim_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[MachineClaim], ...]:
    """Returns those of steps on this machine."""
    return (
        Column("state", lambda each: _state(glyphs(), each.state), width=10, sort=lambda each: not each.running),
        Column("run", lambda each: ((str(each.run), "accent"),), width=6, align="right", sort=lambda each: each.run),
        Column("project", lambda each: each.project, width=10, flex=1, sort=lambda each: each.project),
        Column("step", lambda each: each.step, width=10, flex=1, sort=lambda each: each.step),
        Column("asks for", lambda each: ((each.asks, "text!"),), width=14, flex=2),
        Column("GPUs", lambda each: ", ".join(each.gpus), width=5, from_width=100),
        Column("since", lambda each: _since(each.since, clock()), width=6, align="right", sort=lambda each: each.since),
        Column("who", lambda each: ((each.user, "muted"),), width=8, from_width=100, sort=lambda each: each.user),
        Column("waits for", lambda each: ((each.waits, "wait"),), width=10, flex=4, from_width=100),
    )


def node_columns(glyphs: Callable[[], Glyphs]) -> tuple[Column[ClusterNode], ...]:
    """Returns those of a cluster's nodes."""
    return (
        Column("state", lambda node: _state(glyphs(), node.state), width=8, sort=lambda node: not node.alive),
        Column("node", lambda node: ((node.name, "text!"),), width=16, flex=1, sort=lambda node: node.address),
        Column("CPUs", lambda node: node.cpus.words, width=10, align="right", sort=lambda node: node.cpus.used),
        Column("GPUs", lambda node: node.gpus.words, width=10, align="right", sort=lambda node: node.gpus.used),
        Column("memory", lambda node: node.memory.gib, width=18, align="right", from_width=72),
        Column("", lambda node: ((node.other_words, "muted"),), width=8, flex=2),
    )


def job_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[ClusterJob], ...]:
    """Returns those of a cluster's jobs."""
    return (
        Column("state", lambda job: _state(glyphs(), job.status), width=10, sort=lambda job: job.status),
        Column("whose", lambda job: job.whose or ((job.id, "muted"),), width=16, flex=2, sort=lambda job: job.whose),
        Column("asks for", lambda job: ((job.asks, "text!"),), width=14, flex=1),
        Column("node", lambda job: job.node, width=12, from_width=100, sort=lambda job: job.node),
        Column(
            "since", lambda job: _since(job.since, clock()), width=6, align="right", sort=lambda job: job.since or 0
        ),
        Column("waits for", lambda job: ((job.waits, "wait"),), width=10, flex=2),
    )
