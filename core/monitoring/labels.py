"""Monitors of labels: how many requests have one, and how long that takes."""

from __future__ import annotations

from ..domain.monitoring import Measurement
from ..domain.text.format import count, exact_duration
from ..labels.store import LabelStore
from .live import wilson
from .moment import Moment, NoData


def measure(moment: Moment) -> Measurement:
    """Returns the share of the window's requests that have a label, or the median time from a request to its label in
    seconds. Raises NoData where there are no requests, or no labels."""
    moment.require_service()
    with LabelStore.open(moment.project.state, moment.monitor.environment) as store:
        store.collect()
        found = store.counts(after=moment.start)
    if not found.requests:
        raise NoData(f"no request was answered in the last {exact_duration(moment.monitor.window or 0.0)}")
    told = f"{count(found.matched, 'label')} for {count(found.requests, 'request')}"
    facts = {"start": moment.start, "end": moment.now, "rows": found.requests, "message": told}
    if moment.monitor.measure == "delay":
        if found.delay is None:
            raise NoData(f"none of {count(found.requests, 'request')} has a label yet")
        return moment.measured(found.delay, version=None, **facts)
    share = found.matched / found.requests
    low, high = wilson(share, found.requests)
    trouble = [
        f"{count(number, 'label')} {what}, of all that ever came"
        for number, what in (
            (found.contradictory, "said something else than an earlier one"),
            (found.unknown, "without a request"),
            (found.late, "came after their request was forgotten"),
            (found.refused, "were refused"),
        )
        if number
    ]
    return moment.measured(share, version=None, low=low, high=high, warnings=tuple(trouble), **facts)
