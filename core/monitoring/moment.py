"""What every evaluation of a monitor begins with: the project, the environment as it is now, and one moment."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..delivery.environment.history import model_of, serving, stopped
from ..domain.monitoring import Measurement
from ..domain.project import MonitorSpec, Project
from ..domain.text.format import moment
from ..errors import Interrupted, PodiumError
from ..journal import Journal
from ..quality.reasons import reason


class NoData(PodiumError):
    """Raised when there is nothing to measure; its message says why."""


@dataclass
class Moment:
    """One evaluation of one monitor."""

    project: Project
    journal: Journal
    monitor: MonitorSpec
    now: float = field(default_factory=time.time)
    """Seconds since the epoch."""

    @property
    def start(self) -> float:
        """When the window begins, in seconds since the epoch; for a window of rows the beginning of time."""
        return self.now - self.monitor.window if self.monitor.window is not None else 0.0

    @cached_property
    def model(self) -> str:
        """The registered model whose versions the environment serves."""
        return model_of(self.project, self.journal, self.monitor.environment)

    @cached_property
    def version(self) -> int | None:
        """The version that serves by the ledger."""
        return serving(self.journal, self.monitor.environment, self.model)

    def require_service(self) -> None:
        """Raises NoData if nothing serves: nothing is deployed, or a person stopped it."""
        name = self.monitor.environment
        halted = stopped(self.journal, name)
        if halted is not None:
            raise NoData(f"{name} was stopped by {halted.who} at {moment(halted.at)}")
        if self.version is None:
            raise NoData(f"nothing is deployed to {name}")

    def require_rows(self, rows: int, what: str) -> None:
        """Raises NoData if the window has fewer rows than the monitor's `at_least`; `what` says of what they are:
        `requests were captured`."""
        if rows < self.monitor.at_least:
            raise NoData(f"{rows:,} rows of {what}, fewer than {self.monitor.at_least:,}")

    def measured(self, value: float | None, **more: Any) -> Measurement:
        """Returns a measurement of this moment. A number that is not finite is none; of the value, the message says
        so."""
        if value is not None and not math.isfinite(value):
            value, more["message"] = None, "it cannot be computed on these rows"
        more = {name: None if _is_endless(each) else each for name, each in more.items()}
        more.setdefault("version", self.version)
        return Measurement(
            monitor=self.monitor.name,
            environment=self.monitor.environment,
            kind=self.monitor.kind,
            at=self.now,
            value=value,
            **more,
        )

    def nothing(self, why: str) -> Measurement:
        """Returns a measurement without a value."""
        return self.measured(None, message=why)


def _is_endless(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def measured(moment: Moment, measure: Callable[[Moment], Measurement]) -> Measurement:
    """Returns what `measure` finds, or a measurement without a value that says why there is none, whatever went
    wrong: one monitor keeps no other from being measured."""
    try:
        return measure(moment)
    except (Interrupted, MemoryError):
        raise
    except PodiumError as error:
        return moment.nothing(f"{error.message}: {error.hint}" if error.hint else error.message)
    except OSError as error:
        return moment.nothing(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:  # rows and files are others', and pandas raises a dozen kinds about them
        return moment.nothing(f"it failed: {reason(error)}")
