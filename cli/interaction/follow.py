"""Follows a run on standard error: the states of its steps from the journal, their lines from the log files."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ...core.cockpit import Cockpit
from ...core.domain.runs import Run, RunDetail, RunState, Step, StepState
from ...core.domain.text import clean
from ...core.domain.text.format import count, duration
from ..text import diagnostics
from ..text.diagnostics import glyph, note, paint
from .step_lines import StepLines

POLL_INTERVAL = 0.08  # seconds between two looks at the journal
# The same while the run is young: one whose steps are all unchanged ends within a tenth of a second.
FAST_POLL_INTERVAL = 0.012
FAST_POLL_SECONDS = 0.4
_MAX_NAMES = 3
_MARKS = {
    StepState.SUCCEEDED: ("✓", "ok", "green"),
    StepState.FAILED: ("✗", "FAILED", "red"),
    StepState.SKIPPED: ("–", "skipped", "dim"),
    StepState.CANCELLED: ("✗", "cancelled", "yellow"),
    StepState.INTERRUPTED: ("✗", "interrupted", "yellow"),
}


class Follower:
    """Tells what happens in one run; with `lines` also what its steps print."""

    def __init__(self, cockpit: Cockpit, run_id: int, *, lines: bool = True) -> None:
        self.cockpit = cockpit
        self.run_id = run_id
        self.lines = lines
        self._printed = StepLines(cockpit, run_id)
        self._told: dict[str, StepState] = {}
        self._seen = -1
        self._looked = 0.0
        self._detail: RunDetail | None = None

    def look(self) -> RunDetail:
        """Tells what is new and returns what the journal says now."""
        seen = self.cockpit.changed()
        if self._detail is None or seen != self._seen or self._stale():
            self._detail = self.cockpit.runs.get(self.run_id)
            # As it was before the run was read: what was written meanwhile is read next time.
            self._seen = seen
        for step in self._detail.steps:
            self._show_lines(step)
            self._tell(step)
        return self._detail

    def _stale(self) -> bool:
        """Returns whether it is time to look although nothing was written: a killed worker writes nothing, and only a
        look finds its run interrupted."""
        now = time.monotonic()
        if now - self._looked > 1.0:
            self._looked = now
            return True
        return False

    def _show_lines(self, step: Step) -> None:
        if (
            not self.lines
            or step.state is StepState.PENDING
            or (step.state.finished and self._told.get(step.name) is step.state)
        ):
            return
        before = (paint(step.name, "cyan"), f" {glyph('│', '|')} ")
        for batch in self._printed.new(step.name):
            diagnostics.notes((each.text for each in batch), before)

    def _tell(self, step: Step) -> None:
        if self._told.get(step.name) is step.state:
            return
        self._told[step.name] = step.state
        if step.state is StepState.WAITING:
            note(
                f"{clean(step.name)} waits for approval: podium approve {self.run_id} {shlex.quote(clean(step.name))}",
                style="yellow",
            )
        elif step.state in _MARKS:
            fancy, plain, style = _MARKS[step.state]
            took = duration(step.ended - step.started) if step.started is not None and step.ended is not None else ""
            came = f"from run {step.origin}" if step.cached and step.origin else "unchanged" if step.cached else took
            tells = step.message and step.state is not StepState.SUCCEEDED
            reason = f": {step.message.splitlines()[0].rstrip()}" if tells else ""
            rest = (" ", paint(came, "dim"), reason) if came or reason else ()
            note(paint(glyph(fancy, plain), style), f" {step.name}", *rest)


def follow(
    cockpit: Cockpit, run: Run, *, lines: bool = True, on_interrupt: Callable[[], object] | None = None
) -> RunDetail:
    """Follows `run` until it has finished, or until it waits for an approval and there is no terminal to ask for one.

    The first Ctrl-C calls `on_interrupt` and continues; the second raises KeyboardInterrupt. A lost terminal ends this
    process, not the run.
    """
    follower = Follower(cockpit, run.id, lines=lines)
    began = time.monotonic()
    with _presses() as presses:
        told = False
        while True:
            if presses and on_interrupt is not None and not told:
                told = True
                on_interrupt()
            detail = follower.look()
            if detail.run.state.finished:
                return detail
            if detail.run.state is RunState.WAITING and not diagnostics.interactive() and _only_waits(detail):
                return detail
            time.sleep(POLL_INTERVAL if time.monotonic() - began > FAST_POLL_SECONDS else FAST_POLL_INTERVAL)


def _only_waits(detail: RunDetail) -> bool:
    return any(step.state is StepState.WAITING for step in detail.steps) and not any(
        step.state is StepState.RUNNING for step in detail.steps
    )


@contextmanager
def _presses() -> Iterator[list[int]]:
    """Collects presses of Ctrl-C while the block runs; the second raises KeyboardInterrupt in it.

    The first is only noted: what it causes writes to the journal, which must not happen during another write.
    """
    presses: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        presses.append(number)
        if len(presses) > 1:
            raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, handle)
    except ValueError:  # not the main thread, where no signal arrives
        yield presses
        return
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, before)


def ending(detail: RunDetail, *, interrupted: bool = False) -> int:
    """Says how a run ended; returns its exit code."""
    run = detail.run
    took = f" after {duration(run.ended - run.started)}" if run.ended is not None and run.started is not None else ""
    failed = [step for step in detail.steps if step.state is StepState.FAILED]
    if run.state is RunState.SUCCEEDED:
        cached = sum(step.cached for step in detail.steps)
        unchanged = f", {count(cached, 'step')} unchanged" if cached else ""
        note(f"{title(run)} succeeded{took}{unchanged}", style="green")
        return diagnostics.DONE
    if run.state is RunState.WAITING:
        waiting = [step.name for step in detail.steps if step.state is StepState.WAITING]
        note(f"{title(run)} waits for approval of {', '.join(map(clean, waiting))}", style="yellow")
        diagnostics.hint(f"`podium approve {run.id}` lets it continue")
        return diagnostics.REFUSED
    told = any(step.message and step.message.splitlines()[0] in run.message for step in failed)
    because = f": {clean(run.message)}" if run.message and not told else ""
    note(f"{title(run)} {run.state.value}{took}{because}", style="red")
    for line in _details(failed):
        diagnostics.hint(clean(line))
    _advise(run, failed)
    if interrupted:
        return diagnostics.INTERRUPTED
    return _code(run, failed)


def _details(failed: list[Step]) -> list[str]:
    """Returns what else the failed steps said. Several are named; those that said the same say it once."""
    said: dict[str, list[str]] = {}
    for step in failed:
        said.setdefault("\n".join(step.message.splitlines()[1:]), []).append(step.name)
    lines: list[str] = []
    for text, names in said.items():
        more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
        who = f"{', '.join(names[:_MAX_NAMES])}{more}: " if len(failed) > 1 else ""
        first, *rest = text.splitlines() or [""]
        lines += [f"{who}{first}", *rest] if text else []
    return lines


def _advise(run: Run, failed: list[Step]) -> None:
    if run.state is RunState.INTERRUPTED:
        diagnostics.hint(f"`podium resume {run.id}` continues after the last finished step")
    elif failed and not run.is_operation:
        name = shlex.quote(clean(failed[0].name))
        diagnostics.hint(f"`podium logs {run.id} {name}` shows its output, `podium resume {run.id}` tries again")
    elif failed:
        diagnostics.hint(f"`podium logs {run.id}` shows what was done and undone")


def _code(run: Run, failed: list[Step]) -> int:
    """Returns the exit code of a run that did not succeed; an operation has that of the error that stopped it."""
    if run.is_operation:
        for step in failed:
            code = step.results.get("exit_code")
            if isinstance(code, int) and code > 0:
                return code
    return diagnostics.FAILED


def title(run: Run) -> str:
    """Returns `run 12`, for an operation `run 12 (promote production)`."""
    return f"run {run.id}" if not run.is_operation else f"run {run.id} ({run.kind} {clean(run.name)})"
