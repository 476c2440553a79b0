"""A canary under way: what it looks like, and what a person can tell it. Each order is put as a change first, like a
plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.domain import format as fmt
from ..core.domain.delivery import CanaryRequest, CanaryState, CanaryStatus, Change, EnvironmentStatus
from ..core.domain.verdicts import CheckResult
from ..tui.glyphs import Glyphs
from ..tui.widgets.pane import Span, fit, safe
from ..tui.widgets.text_pane import Line

if TYPE_CHECKING:
    from ..tui.widgets.plan_dialog import Decision, Proposal
    from .base import PodiumScreen as _Base
else:
    _Base = object

_BAR_WIDTH = 30
_STATES = {
    CanaryState.RUNNING: ("run", "run"),
    CanaryState.PAUSED: ("stop", "warn"),
    CanaryState.INCONCLUSIVE: ("wait", "wait"),
}


def stages(canary: CanaryStatus) -> tuple[int, ...]:
    """The shares it goes through, the whole traffic last."""
    return canary.weights if canary.weights and canary.weights[-1] == 100 else (*canary.weights, 100)


def left(canary: CanaryStatus, now: float) -> float | None:
    """Seconds until the stage is judged; None while it is paused or waits for a person."""
    return None if canary.until is None or canary.state is not CanaryState.RUNNING else max(0.0, canary.until - now)


def headline(canary: CanaryStatus, now: float) -> str:
    """Where it stands, in a few words: for a badge and for the frame."""
    seconds = left(canary, now)
    if canary.state is CanaryState.INCONCLUSIVE:
        return f"canary v{canary.version} at {canary.share} % waits for a person"
    if canary.state is CanaryState.PAUSED:
        return f"canary v{canary.version} paused at {canary.share} %"
    return f"canary v{canary.version} at {canary.share} %" + (
        f", {fmt.duration(seconds)} left" if seconds is not None else ""
    )


def brief(canary: CanaryStatus) -> str:
    """The same for a table's cell, with nothing in it that changes by itself."""
    words = {CanaryState.PAUSED: "paused", CanaryState.INCONCLUSIVE: "waits"}.get(canary.state)
    return f"v{canary.version} {canary.share} % {words}" if words else f"canary v{canary.version} {canary.share} %"


def role(canary: CanaryStatus) -> str:
    return _STATES[canary.state][1]


def lines(canary: CanaryStatus, now: float, glyphs: Glyphs, *, height: int, width: int) -> list[Line]:
    """The pane: stages with their weights, the state, the checks of this stage so far. Where there is little room
    the stages share a line."""
    checks = [_check_line(result, glyphs) for result in canary.results]
    if not checks:
        checks = [(("  nothing was measured in this stage yet", "faint"),)]
    head = _state_lines(canary, now, glyphs)
    shares = stages(canary)
    if len(shares) + len(head) + len(checks) <= height:
        return [*(_stage_line(canary, index, now, glyphs) for index in range(len(shares))), *head, *checks]
    return [_one_line(canary, glyphs, width), *head, *checks]


def _stage_line(canary: CanaryStatus, index: int, now: float, glyphs: Glyphs) -> Line:
    share = stages(canary)[index]
    cells = max(1, round(share * _BAR_WIDTH / 100))
    bar = glyphs["bar"] * cells
    if index < canary.stage:
        return ((f" {share:>3} %  ", "muted"), (f"{bar:<{_BAR_WIDTH}}  ", "ok"), (f"{glyphs['ok']} passed", "ok"))
    if index > canary.stage:
        return ((f" {share:>3} %  ", "faint"), (f"{bar:<{_BAR_WIDTH}}", "faint"))
    glyph, colour = _STATES[canary.state]
    seconds = left(canary, now)
    words = f"{fmt.duration(seconds)} left" if seconds is not None else str(canary.state)
    return (
        (f" {share:>3} %  ", "text!"),
        (f"{bar:<{_BAR_WIDTH}}  ", colour),
        (f"{glyphs[glyph]} {words}", f"{colour}!"),
    )


def _one_line(canary: CanaryStatus, glyphs: Glyphs, width: int) -> Line:
    spans: list[Span] = [(" ", "")]
    for index, share in enumerate(stages(canary)):
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
    began = f"stage {canary.stage + 1} of {len(stages(canary))}, since {fmt.when(canary.since, now)}"
    verdict: tuple[Span, ...] = ()
    if canary.verdict is not None:
        mark, painted = glyphs.state(canary.verdict)
        verdict = (("   so far ", "muted"), (f"{mark} {canary.verdict}", f"{painted}!"))
    found: list[Line] = [
        ((f" {glyphs[glyph]} ", colour), (str(canary.state), f"{colour}!"), (f"   {began}", "muted"), *verdict)
    ]
    if canary.message:
        found.append(((f"   {safe(canary.message)}", colour if canary.state is not CanaryState.RUNNING else "muted"),))
    if canary.state is CanaryState.INCONCLUSIVE:
        found.append((("   U goes on to the next stage, F gives it all, X puts all back", "wait"),))
    return found


def _check_line(result: CheckResult, glyphs: Glyphs) -> Line:
    mark, colour = glyphs.state(result.verdict)
    value = fmt.signal(result.name, result.value)
    limit = "" if result.limit is None else f"limit {fmt.signal(result.name, result.limit)}"
    before = "" if result.baseline is None else f"was {fmt.signal(result.name, result.baseline)}"
    rows = "" if result.rows is None else f"{result.rows:,} req"
    said = ", ".join(part for part in (limit, before, rows) if part)
    words = safe(result.message) if result.value is None else said
    return (
        (f" {mark} ", colour),
        (fit(safe(result.name), 12, glyphs) + " ", ""),
        (f"{result.verdict:<13}", colour),
        ("" if result.value is None else f"{value:>9}  ", "text!"),
        (words, "muted" if colour == "ok" else colour),
    )


def proposal(status: EnvironmentStatus, canary: CanaryStatus, order: CanaryRequest) -> Proposal:
    """What an order would do, to be confirmed."""
    from ..tui.widgets.plan_dialog import Proposal

    name, new, old = (
        status.name,
        f"v{canary.version}",
        f"v{canary.from_version}" if canary.from_version is not None else "nothing",
    )
    here, rest = f"{canary.share} %", f"{100 - canary.share} %"
    shares = stages(canary)
    after = shares[min(canary.stage + 1, len(shares) - 1)]
    confirm = f" --confirm {name}" if status.protected else ""
    titles = {
        CanaryRequest.PAUSE: ("Hold", f"Hold the canary of {name}", f"podium pause -e {name}"),
        CanaryRequest.RESUME: ("Go on", f"Let the canary of {name} go on", f"podium resume -e {name}"),
        CanaryRequest.FULL: (
            "All traffic",
            f"Give {new} all traffic of {name}",
            f"podium promote --full -e {name}{confirm}",
        ),
        CanaryRequest.ABORT: ("Abort", f"Abort the canary of {name}", f"podium abort -e {name}"),
    }
    changes = {
        CanaryRequest.PAUSE: (
            Change(f"{new} keeps", here, here),
            Change("next judgement", _due(canary), "none until it is resumed"),
        ),
        CanaryRequest.RESUME: (
            Change(f"{new} gets", here, f"{after} %" if canary.state is CanaryState.INCONCLUSIVE else here),
        ),
        CanaryRequest.FULL: (Change(f"{new} gets", here, "100 %"), Change(f"{old} gets", rest, "nothing; kept warm")),
        CanaryRequest.ABORT: (
            Change(f"{new} gets", here, "nothing; it is stopped"),
            Change(f"{old} gets", rest, "100 %"),
        ),
    }
    warnings: tuple[str, ...] = ()
    bad = [result for result in canary.results if result.verdict != "pass"]
    if order in (CanaryRequest.FULL, CanaryRequest.RESUME) and bad:
        warnings = tuple(f"{result.name} is {result.verdict}: {result.message}" for result in bad)
    elif order is CanaryRequest.FULL:
        warnings = (
            (f"the stages after {canary.share} % are left out and not analysed",)
            if canary.stage < len(shares) - 2
            else ()
        )
    verb, title, command = titles[order]
    # Whoever sends a canary back must not be held up; who gives it everything unjudged must mean it.
    typed = name if status.protected and order is CanaryRequest.FULL else ""
    return Proposal(
        title, verb, command, changes[order], warnings=warnings, type_to_confirm=typed, reason="kept in the audit"
    )


def _due(canary: CanaryStatus) -> str:
    return "when a person decides" if canary.until is None else f"at {fmt.when(canary.until, canary.until)}"


class CanaryMixin(_Base):
    """The keys of a canary, on whatever screen has an environment with one under the cursor."""

    def do_pause(self) -> None:
        self._order(CanaryRequest.PAUSE)

    def do_resume(self) -> None:
        self._order(CanaryRequest.RESUME)

    def do_full(self) -> None:
        self._order(CanaryRequest.FULL)

    def do_cancel(self) -> None:
        self._order(CanaryRequest.ABORT)

    def _order(self, order: CanaryRequest) -> None:
        status = self.context().environment
        canary = status.canary if status is not None else None
        assert status is not None and canary is not None

        def decided(decision: Decision | None) -> None:
            if decision is None:
                self.podium.say("nothing was changed")
                return
            self.carry_out(
                f"{order} {status.name}",
                lambda cockpit: cockpit.environments.request(status.name, order, why=decision.why),
                lambda _: self.podium.say(f"the canary of {status.name} was told to {_SAID[order]}"),
            )

        from ..tui.widgets.plan_dialog import PlanDialog

        self.app.push_screen(PlanDialog(proposal(status, canary, order)), decided)


_SAID = {
    CanaryRequest.PAUSE: "hold",
    CanaryRequest.RESUME: "go on",
    CanaryRequest.FULL: "take all traffic",
    CanaryRequest.ABORT: "go back",
}
