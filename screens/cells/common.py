"""Cells and columns that several screens show alike: a run, a version, a state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ...core.domain.delivery import Condition, EnvironmentStatus
from ...core.domain.models import CHALLENGER, CHAMPION, PREVIOUS, Version
from ...core.domain.monitors.badges import AlertBadge, BadgeKind
from ...core.domain.runs import Run
from ...core.domain.scm import CommitVersion
from ...core.domain.text import format as fmt
from ...core.domain.verdicts import Source, VersionVerdict, last_word, quarantine_of
from ...tui.glyphs import Glyphs
from ...tui.widgets.pane import Cell, Span
from ...tui.widgets.table import Column

_ALIAS_ROLES = {CHAMPION: "ok!", CHALLENGER: "run!", PREVIOUS: "muted"}


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
        Column("what", lambda run: run.title, width=8, flex=3, sort=lambda run: run.title, both_ends=True),
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
    return f"{run.id} {run.state} {run.title} {run.commit} {run.branch} {run.trigger} {run.who} {run.message} {run.why}"


def alias_spans(version: Version) -> tuple[Span, ...]:
    spans: list[Span] = []
    for alias in sorted(version.aliases, key=lambda alias: (alias not in _ALIAS_ROLES, alias)):
        spans += [(alias, _ALIAS_ROLES.get(alias, "accent")), (" ", "")]
    return tuple(spans[:-1]) or (("", ""),)


def verdict_cell(glyphs: Glyphs, version: Version, verdicts: Sequence[VersionVerdict]) -> Cell:
    """Returns the last word about a version; the registry's where the journal has none."""
    verdict = verdicts[0].verdict if verdicts else version.verdict
    if verdict is None:
        return ((glyphs.text("– no gate"), "faint"),)
    glyph, role = glyphs.state(verdict)
    if verdicts and verdicts[0].source is Source.QUARANTINE:
        glyph, role = glyphs["lock"], "bad!"
    return ((f"{glyph} ", role), (last_word(verdicts, verdict), role))


# What stands before the condition of an environment, and its colour.
_CONDITIONS = {
    Condition.EMPTY: ("idle", "muted"),
    Condition.UNREACHABLE: ("bad", "bad"),
    Condition.DOWN: ("bad", "bad"),
    Condition.STOPPED: ("warn", "warn"),
    Condition.CANARY: ("run", "run"),
    Condition.PAUSED: ("warn", "warn"),
    Condition.WAITING: ("wait", "wait"),
    Condition.CHANGING: ("run", "run"),
    Condition.DIFFERS: ("warn", "warn"),
    Condition.HEALTHY: ("ok", "ok"),
}


def health_cell(glyphs: Glyphs, status: EnvironmentStatus) -> Cell:
    health = status.health
    glyph, role = _CONDITIONS[health.condition]
    return ((f"{glyphs[glyph]} ", role), (health.words, role))


# What stands before a badge of alerts, and its colour.
_BADGES = {
    BadgeKind.FIRING: ("bad", "bad!"),
    BadgeKind.PENDING: ("wait", "wait"),
    BadgeKind.NO_DATA: ("warn", "warn"),
    BadgeKind.ACKNOWLEDGED: ("dot", "muted"),
    BadgeKind.SILENCED: ("dot", "muted"),
    BadgeKind.INACTIVE: ("ok", "ok"),
}


def badge_cell(glyphs: Glyphs, badge: AlertBadge | None) -> Cell:
    """Returns how the alerts of an environment stand, in a word; nothing where it has none."""
    return (("", ""),) if badge is None else (_badge_span(glyphs, badge, badge.short),)


def badge_line(glyphs: Glyphs, badge: AlertBadge | None) -> tuple[Span, ...]:
    """Returns how they stand in a line; nothing where all are inactive."""
    if badge is None or badge.worst is BadgeKind.INACTIVE:
        return ()
    return (("alerts ", "muted"), _badge_span(glyphs, badge, badge.words))


def _badge_span(glyphs: Glyphs, badge: AlertBadge, words: str) -> Span:
    glyph, role = _BADGES[badge.worst]
    return (f"{glyphs[glyph]} {words}", role)


def serves_cell(status: EnvironmentStatus, quarantined: Collection[tuple[str, int]] = ()) -> Cell:
    """Returns the versions that answer requests, by number; one that is quarantined (by model and number) with a
    `!`."""
    if not status.answers:
        return (("nothing", "faint"),)
    bad = {number for model, number in quarantined if model == status.model}
    spans = [number_span(version, bad, "ok!") for version in sorted(status.answers)]
    return tuple(span for index, each in enumerate(spans) for span in ((("+", "muted"),) if index else ()) + (each,))


def number_span(version: int, quarantined: Collection[int], role: str) -> Span:
    """Returns `v3`, or `v3!` for a quarantined one."""
    return (f"v{version}!", "bad!") if version in quarantined else (f"v{version}", role)


def quarantined_of(verdicts: Mapping[tuple[str, int], Sequence[VersionVerdict]]) -> frozenset[tuple[str, int]]:
    """Returns the versions, by model and number, of which a quarantine is in force."""
    return frozenset(version for version, each in verdicts.items() if quarantine_of(each) is not None)


def served_words(versions: Sequence[CommitVersion]) -> str:
    """Returns where versions answer requests: `production 100%, staging ready`."""
    return ", ".join(
        f"{served.environment} {f'{served.share:.0%}' if served.share else 'ready'}"
        for version in versions
        for served in version.served
    )
