"""Why a step ran, was restored from the cache, or did not run; how long steps take; and what differs between two
runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from ..domain.runs import PIPELINE, Run, Step, StepState
from ..domain.text import format as fmt
from ..domain.why.answers import Answer, RunComparison, StepPair, StepTime
from ..domain.why.critical import critical_path
from ..journal import Journal
from .cache import key_parts
from .paths import fresh_marker, run_directory

MAX_RUNS = 20  # earlier runs that are looked at
MAX_SHORT = 3  # changes in the one line
_NOT_RUN = (StepState.PENDING, StepState.WAITING, StepState.SKIPPED)


def why_step(journal: Journal, state: Path, run_id: int, name: str) -> Answer:
    """Returns why a step of a run ran, was cached, or has not run. Raises NotFound if there is no such step."""
    run, step = journal.runs.get(run_id), journal.steps.get(run_id, name)
    subject = f"step {name} of run {run_id}"
    if step.state in _NOT_RUN:
        return Answer(subject, *_why_not_run(journal, step))
    if step.cached:
        origin = f"run {step.origin}" if step.origin is not None else "an earlier run"
        parts = key_parts.read(state, run_id, name)
        return Answer(subject, f"cached: nothing it is made from changed since {origin}", _what(parts))
    if step.uses:
        words = f"it is the built-in step {step.uses}, and those are done in every run"
        return Answer(subject, words)
    return Answer(subject, *_why_ran(journal, state, run, step))


def _why_not_run(journal: Journal, step: Step) -> tuple[str, tuple[str, ...]]:
    if step.state is StepState.WAITING:
        return "it waits for a person to approve it", (step.message,) if step.message else ()
    needed = [each for each in journal.steps.of(step.run_id) if each.name in step.needs]
    if step.state is StepState.SKIPPED:
        bad = [f"{each.name} is {each.state}" for each in needed if each.state is not StepState.SUCCEEDED]
        return f"skipped: {step.message or '; '.join(bad) or 'its condition did not hold'}", tuple(bad)
    missing = [each for each in needed if each.state is not StepState.SUCCEEDED]
    if missing:
        states = tuple(f"{each.name} is {each.state}" for each in missing)
        return f"it waits for {', '.join(each.name for each in missing)}", states
    return "its turn has not come", ()


def _why_ran(journal: Journal, state: Path, run: Run, step: Step) -> tuple[str, tuple[str, ...]]:
    parts = key_parts.read(state, run.id, step.name)
    if fresh_marker(state, run.id).exists():
        return "the run was asked to ignore the cache (--fresh)", _what(parts)
    if parts is None:
        if not run_directory(state, run.id).is_dir():
            return "not known any more: the files of the run were removed", ()
        return "it runs every time: it declares neither inputs nor outputs, or says `cache: false`", ()
    for earlier in _earlier(journal, run, step.name):
        before = key_parts.read(state, earlier.run_id, step.name)
        if before is None:
            continue
        found = key_parts.changes(before, parts)
        if found:
            more = f" and {len(found) - MAX_SHORT} more" if len(found) > MAX_SHORT else ""
            return f"{'; '.join(found[:MAX_SHORT])}{more} since run {earlier.run_id}", found
        return _same_but_not_cached(earlier), _what(parts)
    return "it is the first run that this step ran in with a key of its own", _what(parts)


def _same_but_not_cached(earlier: Step) -> str:
    where = f"run {earlier.run_id}"
    if earlier.state is not StepState.SUCCEEDED:
        return f"nothing changed since {where}, but there it {_ended(earlier)}: only what succeeds is kept"
    why = f": {earlier.message}" if "not kept" in earlier.message or "not deterministic" in earlier.message else ""
    return f"nothing changed since {where}, but the cache does not have its result (any more){why}"


def _ended(step: Step) -> str:
    return "failed" if step.state is StepState.FAILED else f"was {step.state}"


def _earlier(journal: Journal, run: Run, name: str) -> Iterator[Step]:
    """Yields the same step of earlier runs of the pipeline, the newest first, without those in which it did not run."""
    for each in journal.runs.page(limit=MAX_RUNS, before=run.id, name=run.name, kind=PIPELINE):
        for step in journal.steps.of(each.id):
            if step.name == name and step.state not in _NOT_RUN:
                yield step


def _what(parts: key_parts.KeyParts | None) -> tuple[str, ...]:
    """Returns what a step is made from, in words."""
    if parts is None:
        return ()
    inputs = ", ".join(parts.inputs) or "none"
    variables = f", {fmt.count(len(parts.variables), 'variable')}" if parts.variables else ""
    return (f"its inputs: {inputs}", f"also its command, its outputs ({', '.join(parts.outputs) or 'none'}){variables}")


# Times


def step_times(journal: Journal, run: Run, now: float) -> Sequence[StepTime]:
    """Returns how long each step of a run took, beside the median of the last runs in which it was executed."""
    steps = journal.steps.of(run.id)
    critical = set(critical_path(steps, now))
    known: dict[str, list[float]] = {}
    for each in journal.runs.page(limit=MAX_RUNS, before=run.id, name=run.name, kind=run.kind):
        for step in journal.steps.of(each.id):
            if step.state is StepState.SUCCEEDED and not step.cached and (took := _took(step, now)) is not None:
                known.setdefault(step.name, []).append(took)
    return [
        StepTime(
            step.name,
            _took(step, now),
            median(known[step.name]) if step.name in known else None,
            len(known.get(step.name, ())),
            step.name in critical,
        )
        for step in steps
    ]


def _took(step: Step, now: float) -> float | None:
    return None if step.started is None else (step.ended if step.ended is not None else now) - step.started


# Two runs


def compare(journal: Journal, state: Path, first: int, second: int, now: float) -> RunComparison:
    """Returns two runs side by side. Raises NotFound if one is not there."""
    runs = (journal.runs.get(first), journal.runs.get(second))
    found = tuple({step.name: step for step in journal.steps.of(run.id)} for run in runs)
    names = list(dict.fromkeys((*found[0], *found[1])))
    return RunComparison(
        (first, second),
        tuple(_facts(*runs)),
        tuple(_differing(dict(runs[0].params), dict(runs[1].params))),
        tuple(_pair(state, name, found[0].get(name), found[1].get(name), now) for name in names),
    )


def _facts(one: Run, other: Run) -> Iterator[tuple[str, str, str]]:
    def facts(run: Run) -> dict[str, str]:
        took = None if run.started is None or run.ended is None else run.ended - run.started
        commit = run.commit[:9] + ("*" if run.dirty else "")
        return {
            "what": run.title,
            "state": str(run.state),
            "commit": commit,
            "branch": run.branch,
            "started by": run.who,
            "time": fmt.duration(took) if took is not None else "",
            "reason": run.message,
        }

    yield from _differing(facts(one), facts(other))


def _differing(one: dict[str, str], other: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys((*one, *other)):
        if one.get(name, "") != other.get(name, ""):
            yield name, one.get(name, ""), other.get(name, "")


def _pair(state: Path, name: str, one: Step | None, other: Step | None, now: float) -> StepPair:
    def said(step: Step | None) -> str | None:
        return None if step is None else "cached" if step.cached else str(step.state)

    why = ""
    if one is not None and other is not None:
        parts = [key_parts.read(state, step.run_id, name) for step in (one, other)]
        if parts[0] is not None and parts[1] is not None:
            why = "; ".join(key_parts.changes(parts[0], parts[1]))
    seconds = tuple(None if step is None else _took(step, now) for step in (one, other))
    return StepPair(name, (said(one), said(other)), (seconds[0], seconds[1]), why)
