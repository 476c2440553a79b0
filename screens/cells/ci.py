"""Cells and lines of CI runs, their jobs and steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.domain.frozen import Frozen
from ...core.domain.hosts import CiAttention, CiJob, CiRow, CiState, CiStep, HostFeature, HostLimits
from ...core.domain.text import format as fmt
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell, Span
from ...tui.widgets.table import Column
from ...tui.widgets.text_pane import Line
from .common import number_span, served_words


class JobLine(Frozen):
    """A line of the list of jobs: a job, or a step below it."""

    job: CiJob
    step: CiStep | None = None


def job_lines(jobs: Sequence[CiJob]) -> tuple[JobLine, ...]:
    """Returns each job, and its steps below it."""
    return tuple(line for job in jobs for line in (JobLine(job), *(JobLine(job, step) for step in job.steps)))


def ci_columns(
    glyphs: Callable[[], Glyphs], clock: Callable[[], float], several: bool = False
) -> tuple[Column[CiRow], ...]:
    """Returns the columns of the inbox; with `several`, one of them names the project."""

    def state(row: CiRow) -> Cell:
        glyph, role = glyphs().state(row.run.state)
        mine = row.attention is CiAttention.WAITING
        return ((f"{glyph} ", role), ("for me" if mine else row.run.state, "wait!" if mine else role))

    def podium(row: CiRow) -> Cell:
        if row.podium is None:
            return ""
        glyph, role = glyphs().state(row.podium.state)
        return ((f"{glyph} {row.podium.id}", role),)

    project: Column[CiRow] = Column(
        "project",
        lambda row: ((row.project, "accent"),),
        width=9,
        flex=1,
        sort=lambda row: row.project,
        both_ends=True,
    )
    return (
        Column("state", state, width=11, sort=lambda row: row.run.state),
        *((project,) if several else ()),
        Column("what", lambda row: ((row.run.name, "text!"),), width=10, flex=1, sort=lambda row: row.run.name),
        Column("title", lambda row: ((row.run.title, ""),), width=10, flex=3),
        Column("branch", lambda row: ((row.run.branch, "muted"),), width=8, from_width=84, both_ends=True),
        Column("commit", lambda row: ((row.run.sha[:7], "muted"),), width=7, from_width=84),
        Column("run", podium, width=6),
        Column("version", _versions, width=7),
        Column("serves", lambda row: ((served_words(row.versions), "ok!"),), width=10, flex=1, from_width=76),
        Column(
            "ago",
            lambda row: ((fmt.age(row.run.updated or row.run.created, clock()), "muted"),),
            width=4,
            align="right",
            sort=lambda row: -(row.run.updated or row.run.created),
        ),
    )


def _versions(row: CiRow) -> Cell:
    quarantined = {each.version for each in row.versions if each.quarantined}
    return (number_span(row.versions[0].version, quarantined, "accent"),) if row.versions else ""


def ci_text(row: CiRow) -> str:
    run = row.run
    versions = " ".join(each.name for each in row.versions)
    words = f"{run.id} {run.state} {row.attention} {run.name} {run.repo} {run.branch} {run.sha} {run.title} {run.actor}"
    return f"{words} {row.project} {versions} {served_words(row.versions)}"


def job_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[JobLine], ...]:
    def name(line: JobLine) -> Cell:
        each = line.step or line.job
        glyph, role = glyphs().state(each.state)
        indent = "    " if line.step is not None else ""
        return ((f"{indent}{glyph} ", role), (each.name, "text!" if line.step is None else ""))

    def took(line: JobLine) -> Cell:
        each = line.step or line.job
        if not each.started:
            return ""
        return ((fmt.duration((each.ended or clock()) - each.started), "muted"),)

    def why(line: JobLine) -> Cell:
        if line.step is not None:
            return ""
        job = line.job
        child = f"started {job.child.repo} {job.child.id}: {job.child.state}" if job.child is not None else ""
        return ((job.reason or child, "bad" if job.state is CiState.FAILED else "muted"),)

    return (
        Column("name", name, width=20, flex=2),
        Column("state", lambda line: (((line.step or line.job).state, "muted"),), width=9),
        Column("why", why, width=10, flex=2, from_width=60),
        Column("took", took, width=6, align="right"),
    )


def ci_lines(row: CiRow, limits: HostLimits, glyphs: Glyphs, now: float) -> list[Line]:
    """Returns what is known of a CI run, and what cannot be done about it here."""
    run = row.run
    glyph, role = glyphs.state(run.state)
    by = f", by {run.actor}" if run.actor else ""
    lines: list[Line] = [
        ((f"{glyph} {run.name}: {run.state}", role), (f"  {run.title}", "text!")),
        (("commit   ", "muted"), (f"{run.sha[:12]} ", "accent"), (f"on {run.branch}", "")),
        (("started  ", "muted"), (f"by {run.event or 'somebody'}{by}, {fmt.ago(run.created or None, now)}", "")),
    ]
    for each in row.approvals:
        words = "you may approve it: A" if each.may else f"not you: {each.why}"
        lines.append((("waits    ", "muted"), (f"for {each.environment}; {words}", "wait")))
    lines.append((("podium   ", "muted"), *_podium(row, glyphs)))
    if run.parent:
        lines.append((("parent   ", "muted"), (run.parent, "")))
    for feature in (HostFeature.RERUN_FAILED, HostFeature.CANCEL, HostFeature.APPROVE, HostFeature.LIVE_LOGS):
        if feature in limits.missing:
            lines.append((("no       ", "muted"), (f"{feature}: {limits.missing[feature]}", "warn")))
    return lines


def _podium(row: CiRow, glyphs: Glyphs) -> tuple[Span, ...]:
    if row.podium is None:
        return (("never ran this commit", "faint"),)
    glyph, role = glyphs.state(row.podium.state)
    versions = " ".join(each.name for each in row.versions)
    serves = served_words(row.versions)
    return (
        (f"{glyph} run {row.podium.id} {row.podium.title}: {row.podium.state}", role),
        (f"  {versions}" if versions else "", "accent!"),
        (f"  serves {serves}" if serves else "", "ok!"),
    )
