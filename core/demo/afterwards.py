"""What became of a delivery, on rows alone: the version before it answers the same labelled requests, so that a month
that calms down by itself is not taken for a recovery."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from ..domain.demo import DemoEvent, DemoResult, EventKind
from ..domain.replay import ReplayLimits
from ..domain.text import format as fmt

if TYPE_CHECKING:
    from .facade import Facade

_POLL_INTERVAL = 0.1
_MOST_REQUESTS = 1000


def compared(
    cockpit: Facade, environment: str, version: int, seconds: float
) -> Generator[DemoEvent, None, DemoResult | None]:
    """Replays the labelled requests of the last so many seconds to `version`, yields both sides' metrics and returns
    the summary's line of the first one; None if there is nothing to compare."""
    serving = cockpit.environments.get(environment).serving
    # Answers differ, and how fast they come is not asked: what counts is what became true.
    limits = ReplayLimits(at_least=1, limit=_MOST_REQUESTS, since=seconds, max_differing=1.0, max_slowdown=1000.0)
    run = cockpit.environments.replay(environment, version, limits, why="on the same labelled requests")
    while not cockpit.runs.get(run.id).run.state.finished:
        time.sleep(_POLL_INTERVAL)
    reports = [step.results.get("report") for step in cockpit.runs.steps(run.id)]
    labelled: list[Mapping[str, Any]] = [each for report in reports if report for each in report["labelled"]]
    if not labelled:
        message = cockpit.runs.get(run.id).run.message
        words = "the two versions could not be compared on the same requests"
        yield DemoEvent(EventKind.BAD, f"{words}: {message}" if message else words)
        return None
    results: list[DemoResult] = []
    for metric in {each["metric"]: each for each in labelled}.values():
        kind, result = _judged(metric, version, serving)
        yield DemoEvent(kind, f"{metric['metric']} on {metric['rows']:,} flights: {result.outcome}")
        if "low" in result.numbers:
            low, high = (fmt.number(result.numbers[name]) for name in ("low", "high"))
            yield DemoEvent(kind, f"  difference, where more is better: {low} … {high} (95% interval)")
        results.append(result)
    return results[0]


def _judged(metric: Mapping[str, Any], version: int, serving: int | None) -> tuple[EventKind, DemoResult]:
    new, old, low, high = (metric[name] for name in ("champion", "candidate", "low", "high"))
    words = f"v{serving} {fmt.number(new)}, v{version} {fmt.number(old)}"
    numbers = {f"v{serving}": new, f"v{version}": old}
    name = f"{metric['metric']} afterwards"
    if low is None or high is None:
        return EventKind.BAD, DemoResult(
            name, f"{words}: {metric['message'] or 'no interval'}", numbers=_known(numbers)
        )
    # The report's difference is that of the candidate, which here is the version before.
    better, worse = high < 0, low > 0
    judged = "better" if better else "worse" if worse else "unclear"
    kind = EventKind.DONE if better else EventKind.BAD
    return kind, DemoResult(name, f"{words}: {judged}", numbers=_known({**numbers, "low": -high, "high": -low}))


def _known(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if value is not None}
