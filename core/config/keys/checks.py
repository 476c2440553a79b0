"""Keys of a gate's checks that are not about a metric on its rows."""

from __future__ import annotations

from ...domain.gates.checks import DATA_CHECKS, FAIRNESS
from ..kinds import Choice, Duration, Integer, Number, Share, Size, Text, Throughput
from ..patterns import bad_model, bad_schema_file, bad_table
from ..sections import Key, ListOf, MapOf, Option, Section
from . import common

AT_LEAST = Key("at_least", Number(), "lowest value that passes")
AT_MOST = Key("at_most", Number(), "highest value that passes")

_RUN = Option(
    "run",
    Section(
        "check.run",
        (
            Key("run", Text(variables=False), "command that prints a JSON object of metrics", required=True),
            Key(
                "metrics",
                MapOf(Section("check.run.metrics", (AT_LEAST, AT_MOST)), "metric", least=1),
                "the limits of each metric, by its name in the object",
                required=True,
            ),
            Key("timeout", Duration(low=0.01), "ends the command, and every process it started, after this time (10m)"),
            Key("cpus", common.cpus, "CPUs that the command may use, and numeric libraries' threads (all)"),
            Key("memory", common.memory, "memory that the command may use: 512m, 4g (all)"),
        ),
    ),
)

_LOGGED = Option(
    "logged",
    Section(
        "check.logged",
        (
            Key("logged", Text(), "metric that training logged to the version's MLflow run", required=True),
            AT_LEAST,
            AT_MOST,
            Key("compare", Choice(("champion",)), "compare with what the champion's training logged"),
            Key("margin", Number(low=0.0), "how much worse than the champion's it may be, absolute (0)"),
            Key("goal", Choice(("maximize", "minimize")), "which direction is better (maximize)"),
        ),
    ),
)

# What a data check and the step `data-check` have in common.
_COMPARED = (
    Key("training", Text(check=bad_table), "table that the rows are compared with: the training data"),
    Key("pandera", Text(check=bad_schema_file), "FILE.py:NAME of a pandera schema (that of the training data)"),
    Key("columns", ListOf(Text(), single=True), "columns that are looked at (all)"),
    Key("time", Text(), "column with the time of a row: rows have to be later than the training data"),
    Key("max_missing", Share(), "share of a column that may be missing (that of the training data, by chance)"),
    Key("max_out_of_range", Share(), "share of a column that may be outside of the training data's range (1%)"),
    Key("max_unseen", Share(), "share of a column that may be words which the training data does not have (1%)"),
    Key("max_duplicates", Share(), "share of rows that may have come before (0)"),
    Key("max_shared", Share(), "share of rows that may be in the training data (what its own duplicates explain)"),
    Key("max_overlap", Share(), "share of rows that may be no later than the training data (0)"),
    Key("max_alone", Number(0.0, 1.0), "AUC or R² that one feature may predict the target with (0.99)"),
    Key("max_drift", Number(low=0.0), "population stability index that a column may have (0.25)"),
)

_KINDS_OF_DATA = ListOf(Choice(DATA_CHECKS), single=True, least=1)
_DATA = Option(
    "data",
    Section(
        "check.data",
        (
            Key("data", _KINDS_OF_DATA, "what is checked of the gate's rows: schema, missing, …", required=True),
            *_COMPARED,
        ),
    ),
)

_FAIRNESS = Option(
    "fairness",
    Section(
        "check.fairness",
        (
            Key(
                "fairness", Choice(FAIRNESS), "gap between groups of rows, or the group that fares worst", required=True
            ),
            Key("by", ListOf(Text(), single=True, least=1), "columns whose values make the groups", required=True),
            Key("of", Text(), "metric of worst_group"),
            AT_LEAST,
            AT_MOST,
            Key("confidence", Number(0.5, 0.9999), "of the interval, which holds for all groups at once (0.95)"),
            Key("min_rows", Integer(low=1), "groups with fewer rows are left out (30)"),
        ),
    ),
)

_LOAD = Option(
    "load",
    Section(
        "check.load",
        (
            Key(
                "load",
                Section(
                    "load",
                    (
                        Key("rate", Throughput(0.1, 5000.0), "requests a second: 200/s", required=True),
                        Key("for", Duration(low=1.0, high=1800.0), "how long they are sent", required=True),
                        Key(
                            "environment",
                            common.name,
                            "where the version is staged; not a protected one",
                            required=True,
                        ),
                    ),
                ),
                "requests that are sent to the version, whatever becomes of those before",
                required=True,
            ),
            *(
                Key(quantile, Duration(low=1e-6), f"longest {words} from when a request was due to its answer")
                for quantile, words in (("p50", "median"), ("p95", "95th percentile"), ("p99", "99th percentile"))
            ),
            Key("errors", Share(), "share of requests that may have no good answer"),
            Key("memory", Size(), "memory that a replica may take: 500m"),
            Key(
                "compare",
                Choice(("champion",)),
                "send the same to the champion and to the version, one replica of each",
            ),
            Key(
                "max_slowdown",
                Share(high=1000.0),
                "how much slower than the champion's the 95th percentile may be (20%)",
            ),
        ),
    ),
)

DATA_STEP: tuple[Key, ...] = (
    Key("data", Text(check=bad_table, templated=True), "table that is checked", required=True),
    Key("checks", _KINDS_OF_DATA, "what is checked of it: schema, missing, ranges, …", required=True),
    Key("target", Text(), "column with the truth, for leakage (none)"),
    Key("model", Text(templated=True, check=bad_model), "registered model whose champion's datasets are meant"),
    *_COMPARED,
)

MORE_CHECKS: tuple[Option, ...] = (_RUN, _LOGGED, _DATA, _FAIRNESS, _LOAD)
