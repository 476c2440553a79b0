"""The keys of monitors in podium.yaml, a section for each kind."""

from __future__ import annotations

from ...domain.watching import MONITOR_SIGNALS
from ..kinds import Choice, Duration, Integer, RowsOrTime, Text
from ..patterns import bad_path, bad_table
from ..sections import Chosen, Either, Key, ListOf, Option, Section
from . import common

ESTIMATED = ("roc_auc", "accuracy", "precision", "recall", "f1")
VIOLATIONS = ("missing", "type", "range", "unseen")
DISTANCES = ("psi", "js", "wasserstein", "ks", "chi2")
# The least rows that are compared: fewer say nothing.
LEAST_ROWS = 10


_ENVIRONMENT = Key("environment", common.name, "environment that it watches", required=True)
_GATE = Key("gate", common.name, "gate that says what truth and answers are", required=True)
_WORD = Choice(("model", "data"))
_WINDOW = Key("window", RowsOrTime(LEAST_ROWS, 1_000_000), "latest requests that are looked at: 1000, or 24h (1000)")
_AT_LEAST = Key("at_least", Integer(1, 1_000_000), "of fewer rows nothing is measured (1)")
_EVERY = Key("every", Duration(low=10.0), "time between two evaluations (1h)")
_COLUMNS = Key("columns", ListOf(Text(), single=True), "columns that are looked at (all)")
_REFERENCE = Key(
    "reference",
    Either(
        Text(check=bad_table),
        Chosen(
            "reference",
            (
                Option(
                    "gate",
                    Section("reference", (Key("gate", common.name, "the gate whose data it is", required=True),)),
                ),
                Option(
                    "first",
                    Section(
                        "reference.first",
                        (
                            Key(
                                "first",
                                Integer(LEAST_ROWS, 1_000_000),
                                "so many of the first requests to the version that serves",
                                required=True,
                            ),
                        ),
                    ),
                ),
                Option(
                    "same",
                    Section(
                        "reference.same",
                        (
                            Key(
                                "same",
                                Choice(("weekday", "month")),
                                "requests at the same time of earlier weeks, or in the same month of earlier years",
                                required=True,
                            ),
                        ),
                    ),
                ),
            ),
        ),
    ),
    "rows to compare with: a table, dataset:NAME, or {gate: NAME}, {first: N}, {same: weekday}",
    required=True,
)


def _option(kind: str, *keys: Key, word: str = "") -> Option:
    name = ".".join(filter(None, ("monitor", "" if kind == "drift" else kind, word)))
    return Option(kind, Section(name, (_ENVIRONMENT, *keys)), word)


MONITOR = Chosen(
    "monitor",
    (
        _option(
            "drift",
            Key(
                "drift",
                Choice(DISTANCES),
                "measure of the distance of two distributions",
                required=True,
            ),
            Key("of", Choice(("inputs", "predictions")), "what is compared: inputs or predictions (inputs)"),
            _REFERENCE,
            _WINDOW,
            _AT_LEAST,
            _EVERY,
            _COLUMNS,
        ),
        _option(
            "data",
            Key("data", Choice(("any", *VIOLATIONS)), "what requests have that the reference never had", required=True),
            _REFERENCE,
            _WINDOW,
            _AT_LEAST,
            _EVERY,
            _COLUMNS,
        ),
        _option(
            "signal",
            Key("signal", Choice(MONITOR_SIGNALS), "signal to watch", required=True),
            Key("window", Duration(low=1.0), "time that one value is taken over (60s)"),
            Key("every", Duration(low=10.0), "time between two evaluations (1m)"),
        ),
        _option(
            "quality",
            Key("quality", Text(), "metric of the gate, on requests that have a label", required=True),
            _GATE,
            _WINDOW,
            _AT_LEAST,
            _EVERY,
        ),
        _option(
            "estimate",
            Key("estimate", Choice(ESTIMATED), "metric that is estimated without labels", required=True),
            _GATE,
            _WINDOW,
            _AT_LEAST,
            _EVERY,
        ),
        _option(
            "labels",
            Key("labels", Choice(("share", "delay")), "of requests that have one, or until they have", required=True),
            Key("window", Duration(low=1.0), "requests of this time are looked at (7d)"),
            _EVERY,
        ),
        _option(
            "freshness", Key("freshness", _WORD, "whose age it is: model or data", required=True), _EVERY, word="model"
        ),
        _option(
            "freshness",
            Key("freshness", _WORD, "whose age it is: model or data", required=True),
            Key("path", Text(check=bad_path), "the file, or the directory with the files", required=True),
            Key("column", Text(), "the column whose latest time counts (the file's own time)"),
            _EVERY,
            word="data",
        ),
        Option(
            "infra",
            Section(
                "monitor.infra",
                (
                    Key("infra", common.name, "infrastructure: how many resources have drifted", required=True),
                    Key("every", Duration(low=60.0), "time between two looks (1h)"),
                ),
            ),
        ),
    ),
)
