"""Cells and lines of a commit: what Podium did with it, and what it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...core.domain.scm import CiLook, CommitRow, CommitVersion, Diff, DiffKind, Ref, RefKind
from ...core.domain.text import format as fmt
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell, Span
from ...tui.widgets.table import Column
from ...tui.widgets.text_pane import Line
from .common import number_span, served_words

# What the host said longer ago than that, of something that went on, is shown as what it was.
STALE_SECONDS = 600.0
_REF_ROLES = {RefKind.BRANCH: "ok", RefKind.TAG: "warn", RefKind.REMOTE: "muted"}
_DIFF_ROLES = {
    DiffKind.NOTE: "muted",
    DiffKind.FILE: "text!",
    DiffKind.HUNK: "accent",
    DiffKind.ADDED: "ok",
    DiffKind.REMOVED: "bad",
    DiffKind.CONTEXT: "",
}


def ref_columns(glyphs: Callable[[], Glyphs], clock: Callable[[], float]) -> tuple[Column[Ref], ...]:
    def name(ref: Ref) -> Cell:
        mark = f"{glyphs()['point']} " if ref.checked_out else "  "
        return ((mark, "accent"), (ref.name, _REF_ROLES[ref.kind]))

    return (
        Column("name", name, width=10, flex=1, sort=lambda ref: ref.name, both_ends=True),
        Column("kind", lambda ref: ((ref.kind, "faint"),), width=6, sort=lambda ref: ref.kind),
        Column(
            "ago", lambda ref: ((fmt.age(ref.at, clock()), "muted"),), width=4, align="right", sort=lambda ref: -ref.at
        ),
    )


def commit_columns(
    glyphs: Callable[[], Glyphs], clock: Callable[[], float], ci: CiLook | None = None
) -> tuple[Column[CommitRow], ...]:
    """Returns the columns; those of the host's CI where there is a host."""

    def run(row: CommitRow) -> Cell:
        if row.run is None:
            return ""
        glyph, role = glyphs().state(row.run.state)
        return ((f"{glyph} ", role), (str(row.run.id), role))

    def subject(row: CommitRow) -> Cell:
        names = tuple((f"{ref.name} ", _REF_ROLES[ref.kind]) for ref in row.refs[:3])
        return (*names, (row.commit.subject, "text"))

    return (
        Column("commit", lambda row: ((row.commit.short, "accent"),), width=9),
        Column("subject", subject, width=16, flex=4),
        Column("run", run, width=6, sort=lambda row: -row.run.id if row.run else 0),
        *(_ci_columns(glyphs, clock, ci) if ci is not None else ()),
        Column("version", _versions, width=8, sort=lambda row: -row.versions[0].version if row.versions else 0),
        Column("serves", _serves, width=14, flex=1, from_width=66),
        Column(
            "author",
            lambda row: ((row.commit.author, "muted"),),
            width=12,
            from_width=84 if ci is None else 92,  # where it serves is not cut for who made it
            sort=lambda row: row.commit.author.lower(),
        ),
        Column(
            "ago",
            lambda row: ((fmt.age(row.commit.at, clock()), "muted"),),
            width=4,
            align="right",
            sort=lambda row: -row.commit.at,
        ),
    )


def _ci_columns(
    glyphs: Callable[[], Glyphs], clock: Callable[[], float], look: CiLook
) -> tuple[Column[CommitRow], ...]:
    """Returns a mark, and a word beside it where there is room."""

    def mark(row: CommitRow) -> Cell:
        if row.ci is None:
            return (("-", "faint"),)
        glyph, role = glyphs().state(row.ci)
        return ((glyph, "muted" if was(row, look, clock()) else role),)

    def word(row: CommitRow) -> Cell:
        if row.ci is None:
            return (("not seen", "faint"),)
        return ((f"was {row.ci}", "muted"),) if was(row, look, clock()) else ((row.ci, glyphs().state(row.ci)[1]),)

    def order(row: CommitRow) -> str:
        return row.ci or "~"

    return Column("ci", mark, width=2, sort=order), Column("", word, width=13, from_width=110, sort=order)


def was(row: CommitRow, look: CiLook, now: float) -> bool:
    """Tells whether a CI state may be another one by now: it was not over, and nobody has heard of it for a while."""
    return row.ci is not None and not row.ci.finished and (bool(look.error) or now - look.asked > STALE_SECONDS)


def _ci_line(row: CommitRow, look: CiLook, glyphs: Glyphs, now: float) -> Line:
    asked = f"the host was asked {fmt.ago(look.asked, now)}" if look.asked else f"{look.host} was not asked yet"
    said = f"  {asked}{f': {look.error}' if look.error else ''}"
    if row.ci is None:
        return (("ci       ", "muted"), ("no CI run of it was seen", "faint"), (said, "muted"))
    glyph, role = glyphs.state(row.ci)
    old = was(row, look, now)
    words = f"{glyph} {'was ' if old else ''}{row.ci}"
    return (("ci       ", "muted"), (words, "muted" if old else role), (said, "muted"))


def _versions(row: CommitRow) -> Cell:
    quarantined = {each.version for each in row.versions if each.quarantined}
    spans: list[Span] = []
    for each in row.versions[:2]:
        spans += [number_span(each.version, quarantined, "accent"), (" ", "")]
    return tuple(spans[:-1]) or ""


def _serves(row: CommitRow) -> Cell:
    return ((served_words(row.versions), "ok!"),)


def commit_text(row: CommitRow) -> str:
    commit = row.commit
    names = " ".join(ref.name for ref in row.refs)
    run = f"run {row.run.id} {row.run.state} {row.run.title}" if row.run is not None else ""
    versions = " ".join(each.name for each in row.versions)
    ci = f"ci {row.ci}" if row.ci is not None else ""
    return f"{commit.sha} {names} {commit.subject} {commit.author} {run} {ci} {versions} {served_words(row.versions)}"


def commit_lines(row: CommitRow, glyphs: Glyphs, now: float, ci: CiLook | None = None) -> list[Line]:
    """Returns what is known of a commit, without its diff."""
    commit = row.commit
    lines: list[Line] = [
        ((commit.subject, "text!"),),
        (("commit   ", "muted"), (commit.sha, "accent")),
        (("by       ", "muted"), (commit.author, ""), (f", {fmt.when(commit.at, now)}", "muted")),
    ]
    if row.refs:
        names = tuple((f"{ref.name}  ", _REF_ROLES[ref.kind]) for ref in row.refs)
        lines.append((("named    ", "muted"), *names))
    if row.run is None:
        lines.append((("run      ", "muted"), ("Podium never ran it", "faint")))
    else:
        glyph, role = glyphs.state(row.run.state)
        words = f"{glyph} {row.run.id} {row.run.title}: {row.run.state}"
        lines.append((("run      ", "muted"), (words, role), (f"  {row.run.message}", "muted")))
    lines += [_version_line(version) for version in row.versions]
    return lines if ci is None else [*lines, _ci_line(row, ci, glyphs, now)]


def _version_line(version: CommitVersion) -> Line:
    serves = ", ".join(f"{each.environment} {each.share:.0%}" for each in version.served)
    return (
        ("version  ", "muted"),
        (f"v{version.version} ", "accent!"),
        (" ".join(version.aliases), "ok"),
        (f"  serves {serves}" if serves else "  serves nowhere", "ok!" if serves else "faint"),
        (f"  quarantined: {version.quarantined}" if version.quarantined else "", "bad"),
    )


def diff_lines(diff: Diff) -> list[Line]:
    return [((line.text, _DIFF_ROLES[line.kind]),) for line in diff.lines]


def sha_of(rows: Sequence[CommitRow], marks: frozenset[str]) -> list[str]:
    """Returns the marked commits, the older one first: the list has the newest first."""
    return [row.commit.sha for row in reversed(rows) if row.commit.sha in marks]
