"""The keys of gates and their checks in podium.yaml."""

from __future__ import annotations

from ...domain.metrics import AVERAGES, FACTS, TASKS
from ..kinds import Choice, Duration, Integer, Number, Share, Text, Value
from ..patterns import bad_metric, bad_path, bad_table
from ..sections import Chosen, Key, ListOf, Option, Section
from . import common
from .checks import MORE_CHECKS
from .common import GOALS

ANSWERS = ("label", "probability")
PERCENTILES = ("p50", "p95", "p99")
# Metrics whose direction is known; core/quality computes them.
METRIC_GOALS = {name: facts.goal for name, facts in FACTS.items() if facts.goal}

_GOAL = Key("goal", Choice(GOALS), "which direction is better; only needed where Podium does not know the metric")

CHECK = Chosen(
    "check",
    (
        Option(
            "metric",
            Section(
                "check",
                (
                    Key(
                        "metric",
                        Text(check=bad_metric),
                        "metric of the version on the gate's data, or a function of your own: metrics.py:profit",
                        required=True,
                    ),
                    Key("average", Choice(AVERAGES), "over the classes, of more than two (of roc_auc: macro)"),
                    Key("class", Value(), "one class that is measured against the rest (of two: the positive one)"),
                    Key("k", Integer(1, 100_000), "first rows of a query that count, of ndcg and map (all)"),
                    Key("quantile", Number(0.0001, 0.9999), "quantile that is forecast, of pinball"),
                    Key("horizon", Integer(low=1), "measures only rows that look so far ahead (all)"),
                    Key("prediction", common.columns, "column of the answer that is meant (that of the gate)"),
                    Key("at_least", Number(), "lowest value that passes"),
                    Key("at_most", Number(), "highest value that passes"),
                    Key("compare", Choice(("champion",)), "compare with the champion on the same rows"),
                    Key("margin", Number(low=0.0), "how much worse than the champion it may be, absolute (0)"),
                    Key("confidence", Number(0.5, 0.9999), "of the interval (0.95)"),
                    _GOAL,
                    Key(
                        "slices",
                        _slices := ListOf(Text(), single=True),
                        "columns; the check is repeated for each of their values",
                    ),
                    Key("min_rows", Integer(low=1), "slices with fewer rows are left out (1)"),
                    Key(
                        "cpus", common.cpus, "CPUs that a function of your own may use, and its libraries' threads (1)"
                    ),
                    Key("memory", common.memory, "memory that a function of your own may use: 512m, 4g (all)"),
                ),
            ),
        ),
        Option(
            "latency",
            Section(
                "check.latency",
                (
                    Key("latency", Choice(PERCENTILES), "percentile of the time for one prediction", required=True),
                    Key("at_most", Duration(low=1e-6), "longest time that passes", required=True),
                ),
            ),
        ),
        Option(
            "schema",
            Section(
                "check.schema",
                (
                    Key(
                        "schema",
                        Choice(("unchanged",)),
                        "the model's input and output columns are those of the champion",
                        required=True,
                    ),
                ),
            ),
        ),
        Option(
            "replay",
            Section(
                "check.replay",
                (
                    Key(
                        "replay",
                        common.name,
                        "environment whose captured requests the version answers, beside what serves there",
                        required=True,
                    ),
                    Key("at_least", Integer(low=1), "fewer requests than this are inconclusive (100)"),
                    Key("limit", Integer(1, 100_000), "at most so many are sent, the newest (1000)"),
                    Key("since", Duration(low=1.0), "only what was captured in this time"),
                    Key("max_errors", Integer(low=0), "requests that it may answer worse than what serves (0)"),
                    Key("max_differing", Share(), "share of its predictions that may differ (5%)"),
                    Key(
                        "max_slowdown",
                        Share(high=1000.0),
                        "how much slower its 95th percentile may be, as a share of the other's (20%)",
                    ),
                    Key(
                        "tolerance",
                        Number(low=0.0),
                        "numbers closer than this are the same (1e-6, and of probabilities the class)",
                    ),
                    Key("concurrency", Integer(1, 64), "requests sent at the same time (1)"),
                ),
            ),
        ),
        *MORE_CHECKS,
    ),
)

SERIES = Section(
    "series",
    (
        Key("by", Text(), "column that says which series a row is of (one series)"),
        Key("time", Text(), "column with the time that is forecast; neighbouring times are drawn together"),
        Key("horizon", Text(), "column that says how far ahead a row looks, in steps"),
        Key("history", Text(check=bad_path), "table of the series before these rows, for mase: .parquet or .csv"),
        Key("season", Integer(1, 100_000), "steps after which a season repeats, for mase (1)"),
    ),
)

GATE = Section(
    "gate",
    (
        Key(
            "data",
            Text(check=bad_table),
            "table of rows to evaluate on: a file, a directory of .parquet files, or dataset:NAME",
            required=True,
        ),
        Key(
            "target",
            common.columns,
            "column that holds the truth; several of 0 and 1 for several labels",
            required=True,
        ),
        Key("task", Choice(TASKS), "kind of the model, where target and metrics do not tell"),
        Key(
            "classes", ListOf(Value(), least=2), "the target's classes in order, of two the positive one last (sorted)"
        ),
        Key("prediction", common.columns, "columns of the answer that are meant, in the order of the classes (all)"),
        Key("answers", Choice(ANSWERS), "what the model answers, where that cannot be told from its answers"),
        Key("group", Text(), "column of rows that belong together, such as the query of a ranking (none)"),
        Key("series", SERIES, "what the rows of a forecast are"),
        Key("checks", ListOf(CHECK, least=1), "all of them have to pass", required=True),
    ),
)
