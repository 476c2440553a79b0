"""Monitors of infrastructure: how many resources differ from what was applied, by the tool's own look at them."""

from __future__ import annotations

from ..domain.infra.plan import Drift
from ..domain.monitoring import ColumnMeasurement, Measurement
from ..domain.text.format import count
from ..infra import changes
from ..infra.order import of
from .moment import Moment

# The most that one look may take, in seconds: other monitors wait meanwhile.
LONGEST = 900.0
_MOST = 200
_SHOWN = 3


def measure(moment: Moment) -> Measurement:
    """Returns how many resources differ, each as a column with how many of its values do."""
    infra = of(moment.project, moment.monitor.measure)
    found = changes.look(
        moment.project, moment.journal, infra, lambda _: None, run=0, who=f"monitor {moment.monitor.name}"
    )
    real = found.real_drift
    noise = (f"{count(found.noise, 'resource')} in ways that change nothing",) if found.noise else ()
    return moment.measured(
        float(len(real)),
        rows=len(real),
        columns=tuple(map(_column, real[:_MOST])),
        warnings=noise,
        message=_words(real),
        version=None,
    )


def _column(drift: Drift) -> ColumnMeasurement:
    shown = ", ".join(f"{each.path}: {each.before} -> {each.after}" for each in drift.attributes[:_SHOWN])
    return ColumnMeasurement(
        drift.address, float(max(1, len(drift.attributes))), message="it is gone" if drift.gone else shown
    )


def _words(real: tuple[Drift, ...]) -> str:
    names = ", ".join(each.address for each in real[:_SHOWN])
    more = len(real) - _SHOWN
    return f"{names}, and {more} more" if more > 0 else names
