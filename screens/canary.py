"""Draws a running canary: its stages, its state, the checks of this stage."""

from __future__ import annotations

from ..core.domain.delivery import CanaryState, CanaryStatus
from ..core.domain.text import format as fmt
from ..core.domain.verdicts import CheckResult
from ..tui.glyphs import Glyphs
from ..tui.widgets.pane import Span, fit
from ..tui.widgets.text_pane import Line

_BAR_WIDTH = 30
_STATES = {
    CanaryState.RUNNING: ("run", "run"),
    CanaryState.PAUSED: ("stop", "warn"),
    CanaryState.INCONCLUSIVE: ("wait", "wait"),
    CanaryState.ASKS: ("wait", "wait"),
}


def role(canary: CanaryStatus) -> str:
    return _STATES[canary.state][1]


def lines(canary: CanaryStatus, now: float, glyphs: Glyphs, *, height: int, width: int) -> list[Line]:
    """The pane: stages with their weights, the state, the checks of this stage so far. Where there is little room
    the stages share a line."""
    checks = [_check_line(result, glyphs) for result in canary.results]
    if not checks:
        checks = [(("  nothing was measured in this stage yet", "faint"),)]
    head = _state_lines(canary, now, glyphs)
    shares = canary.shares
    if len(shares) + len(head) + len(checks) <= height:
        return [*(_stage_line(canary, index, now, glyphs) for index in range(len(shares))), *head, *checks]
    return [_one_line(canary, glyphs, width), *head, *checks]


def _stage_line(canary: CanaryStatus, index: int, now: float, glyphs: Glyphs) -> Line:
    share = canary.shares[index]
    cells = max(1, round(share * _BAR_WIDTH / 100))
    bar = glyphs["bar"] * cells
    if index < canary.stage:
        return ((f" {share:>3} %  ", "muted"), (f"{bar:<{_BAR_WIDTH}}  ", "ok"), (f"{glyphs['ok']} passed", "ok"))
    if index > canary.stage:
        return ((f" {share:>3} %  ", "faint"), (f"{bar:<{_BAR_WIDTH}}", "faint"))
    glyph, colour = _STATES[canary.state]
    seconds = canary.seconds_left(now)
    words = f"{fmt.duration(seconds)} left" if seconds is not None else str(canary.state)
    return (
        (f" {share:>3} %  ", "text!"),
        (f"{bar:<{_BAR_WIDTH}}  ", colour),
        (f"{glyphs[glyph]} {words}", f"{colour}!"),
    )


def _one_line(canary: CanaryStatus, glyphs: Glyphs, width: int) -> Line:
    spans: list[Span] = [(" ", "")]
    for index, share in enumerate(canary.shares):
        if index:
            spans.append((f" {glyphs['arrow']} ", "faint"))
        if index < canary.stage:
            spans.append((f"{glyphs['ok']} {share} %", "ok"))
        elif index == canary.stage:
            spans.append((f"{glyphs[_STATES[canary.state][0]]} {share} %", f"{role(canary)}!"))
        else:
            spans.append((f"{share} %", "faint"))
    used = sum(len(text) for text, _ in spans)
    room = min(_BAR_WIDTH, width - used - 4)
    if room >= 10:
        full = max(1, round(canary.share * room / 100))
        spans += [("   ", ""), (glyphs["bar"] * full, role(canary)), (glyphs["rule"] * (room - full), "faint")]
    return tuple(spans)


def _state_lines(canary: CanaryStatus, now: float, glyphs: Glyphs) -> list[Line]:
    glyph, colour = _STATES[canary.state]
    began = f"stage {canary.stage + 1} of {len(canary.shares)}, since {fmt.when(canary.since, now)}"
    verdict: tuple[Span, ...] = ()
    if canary.verdict is not None:
        mark, painted = glyphs.state(canary.verdict)
        verdict = (("   so far ", "muted"), (f"{mark} {canary.verdict}", f"{painted}!"))
    found: list[Line] = [
        ((f" {glyphs[glyph]} ", colour), (str(canary.state), f"{colour}!"), (f"   {began}", "muted"), *verdict)
    ]
    if canary.message:
        found.append(((f"   {canary.message}", colour if canary.state is not CanaryState.RUNNING else "muted"),))
    if canary.state is CanaryState.INCONCLUSIVE:
        found.append((("   U resumes with the next stage, F gives it all traffic, X puts all back", "wait"),))
    if canary.state is CanaryState.ASKS:
        left = canary.seconds_left(now)
        words = "   U goes on although it failed, F gives it all traffic, X puts all back"
        found.append(((words + ("" if left is None else f"; by itself in {fmt.duration(left)}"), "wait"),))
    return found


def _check_line(result: CheckResult, glyphs: Glyphs) -> Line:
    mark, colour = glyphs.state(result.verdict)
    value = fmt.signal(result.name, result.value)
    limit = "" if result.limit is None else f"limit {fmt.signal(result.name, result.limit)}"
    before = "" if result.baseline is None else f"was {fmt.signal(result.name, result.baseline)}"
    rows = "" if result.rows is None else f"{result.rows:,} req"
    said = ", ".join(part for part in (limit, before, rows) if part)
    words = result.message if result.value is None else said
    return (
        (f" {mark} ", colour),
        (fit(result.name, 12, glyphs) + " ", ""),
        (f"{result.verdict:<13}", colour),
        ("" if result.value is None else f"{value:>9}  ", "text!"),
        (words, "muted" if colour == "ok" else colour),
    )
