"""What the kinds of checks of a gate are configured with that need more than a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ..frozen import Frozen


class Limits(Frozen):
    """The lowest and the highest value that passes; None for no limit."""

    at_least: float | None = None
    at_most: float | None = None


class CommandCheck(Frozen):
    """`run`: a command that prints a JSON object of metrics."""

    command: str
    metrics: Mapping[str, Limits] = field(default_factory=dict[str, Limits])
    """The limits of each metric, by its name in the document."""
    timeout: float = 600.0
    """Seconds."""
    cpus: float | None = None
    memory: int | None = None
    """Bytes."""


# What `fairness` measures, by fairlearn's names.
FAIRNESS = (
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "worst_group",
)
# Groups with fewer rows are left out where the check does not say otherwise.
FAIRNESS_ROWS = 30

# What `data` checks of a table of rows.
DATA_CHECKS = ("schema", "missing", "ranges", "categories", "duplicates", "leakage", "drift")


class DataCheck(Frozen):
    """`data`: what is checked of a table of rows. Shares are 0..1."""

    kinds: tuple[str, ...]
    """Some of DATA_CHECKS."""
    training: str = ""
    """The table that it is compared with: the training data; empty for none."""
    pandera: str = ""
    """`FILE.py:NAME` of a pandera schema; empty to take the schema from the training data."""
    columns: tuple[str, ...] = ()
    """The columns that are looked at; empty for all."""
    time: str = ""
    """The column with the time of a row; empty for none."""
    max_missing: float | None = None
    """The share of a column's values that may be missing; None for no more than in the training data, by more than
    chance."""
    max_out_of_range: float = 0.01
    """The share of a column's values that may lie outside of those of the training data."""
    max_unseen: float = 0.01
    """The share of a column's values that may be words that the training data does not have."""
    max_duplicates: float = 0.0
    """The share of rows that may have come before in the same table."""
    max_shared: float | None = None
    """The share of rows that may be in the training data; None for what the training data's own duplicates explain."""
    max_overlap: float = 0.0
    """The share of rows that may be no later than the latest row of the training data."""
    max_alone: float = 0.99
    """The AUC, or R² for a number, that a single feature may predict the target with."""
    max_drift: float = 0.25
    """The population stability index between both tables that a column may have."""


class LoadCheck(Frozen):
    """`load`: a rate of requests against an environment, and what has to hold under it. Times are seconds."""

    environment: str
    rate: float
    """Requests a second."""
    seconds: float
    """How long."""
    p50: float | None = None
    """The longest median of the latency; also `p95` and `p99`, of these percentiles."""
    p95: float | None = None
    p99: float | None = None
    errors: float | None = None
    """The share of requests, 0..1, that may have no good answer."""
    memory: int | None = None
    """The bytes of memory that a replica may take."""
    compare: str = ""
    """`champion` or empty."""
    max_slowdown: float = 0.2
    """How much slower than the champion's the 95th percentile may be, as a share of it."""

    @property
    def limited(self) -> bool:
        """Tells whether anything is judged besides the comparison."""
        return any(each is not None for each in (self.p50, self.p95, self.p99, self.errors, self.memory))
