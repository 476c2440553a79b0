"""How often a gate is wrong, for each kind of model: of candidates that are worse by exactly the margin, how many pass;
of those that are worse by twice the margin, how many do not fail.

    python benchmarks/gates.py [--trials 300] [--quick]

Each trial draws new rows and asks `core/quality` for the interval of the difference, as a gate does. The margin is the
true difference, which is measured once on many rows; for the second question half of it. At 95 % a gate should pass
2.5 % of the first kind. The bounds are what a rate of 5 % and one of 10 % would exceed in one of a hundred runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from _measuring import Report, parser

RESAMPLES = 200
# Rows (queries, times) that the true difference is measured on.
MANY, QUICK_MANY = 200_000, 20_000
WRONG, UNSEEN, LUCK = 0.05, 0.10, 0.01

Generator = np.random.Generator


@dataclass(frozen=True)
class Scene:
    """One kind of model: what makes candidate and champion, how many units a gate of this size has, and the metrics."""

    make: Callable[[Generator, int], tuple[Any, Any]]
    units: int
    what: str
    metrics: Mapping[str, Mapping[str, Any]]


def classes_of(generator: Generator, rows: int, classes: int) -> tuple[Any, Any, Any]:
    """The truth, and the logits of champion and candidate, which share most of their mistakes."""
    truth = generator.integers(0, classes, rows)
    shared = 1.6 * (truth[:, None] == np.arange(classes)) + generator.normal(size=(rows, classes))
    noise = [generator.normal(size=(rows, classes)) for _ in range(2)]
    return truth, shared + 0.4 * noise[0], shared + 0.85 * noise[1]


def chances(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def answers(truth: Any, task: str, scores: Any, labels: Any = None, **more: Any) -> Any:
    from podium.core.quality.metrics import ModelAnswers

    return ModelAnswers(truth, scores, labels, task, **more)


def binary(generator: Generator, rows: int) -> tuple[Any, Any]:
    truth, *logits = classes_of(generator, rows, 2)
    scores = [chances(each)[:, 1] for each in logits]
    champion, candidate = (
        answers(truth.astype(float), "binary", each, (each >= 0.5).astype(float), classes=(0, 1), probabilities=True)
        for each in scores
    )
    return candidate, champion


def multiclass(generator: Generator, rows: int) -> tuple[Any, Any]:
    truth, *logits = classes_of(generator, rows, 5)
    champion, candidate = (
        answers(truth, "multiclass", chances(each), each.argmax(axis=1), classes=tuple("abcde"), probabilities=True)
        for each in logits
    )
    return candidate, champion


def multilabel(generator: Generator, rows: int) -> tuple[Any, Any]:
    truth = (generator.random((rows, 4)) < [0.1, 0.3, 0.5, 0.7]).astype(np.int8)
    shared = truth - 0.5 + generator.normal(size=truth.shape) * 0.4
    pair = [shared + deviation * generator.normal(size=truth.shape) for deviation in (0.15, 0.4)]
    champion, candidate = (
        answers(truth, "multilabel", 1 / (1 + np.exp(-4 * each)), (each >= 0).astype(np.int8), classes=tuple("abcd"))
        for each in pair
    )
    return candidate, champion


def regression(generator: Generator, rows: int) -> tuple[Any, Any]:
    truth = generator.gamma(2.0, 10.0, rows)
    shared = truth + generator.standard_t(4, rows) * 3
    pair = [shared + deviation * generator.normal(size=rows) for deviation in (1.0, 3.0)]
    champion, candidate = (answers(truth, "regression", each) for each in pair)
    return candidate, champion


def forecasting(generator: Generator, times: int) -> tuple[Any, Any]:
    """Three series whose errors go together from day to day, and on the same day."""
    from podium.core.quality.metrics import Units

    def errors(deviation: float) -> Any:
        found = np.empty((times, 3))
        drawn = deviation * (generator.normal(size=(times, 3)) + generator.normal(size=(times, 1)))
        found[0] = drawn[0]
        for day in range(1, times):
            found[day] = 0.5 * found[day - 1] + drawn[day]
        return found.ravel()

    truth = np.tile([20.0, 30.0, 40.0], times)
    units = Units(np.tile([0, 1, 2], times), np.repeat(np.arange(times), 3), max(2, int(np.ceil(times ** (1 / 3)))))
    shared, scale = errors(1.0), np.tile([2.0, 3.0, 4.0], times)
    champion, candidate = (
        answers(truth, "forecasting", truth + shared + errors(deviation), units=units, scale=scale)
        for deviation in (0.4, 1.2)
    )
    return candidate, champion


def ranking(generator: Generator, queries: int) -> tuple[Any, Any]:
    from podium.core.quality.metrics import Units

    sizes = generator.integers(4, 16, queries)
    groups = np.repeat(np.arange(queries), sizes)
    gains = generator.choice(4, len(groups), p=[0.6, 0.2, 0.15, 0.05]).astype(float)
    shared = gains + generator.normal(size=len(groups)) * 1.2
    pair = [shared + deviation * generator.normal(size=len(groups)) for deviation in (0.4, 1.1)]
    champion, candidate = (answers(gains, "ranking", each, units=Units(groups)) for each in pair)
    return candidate, champion


def probabilities(generator: Generator, rows: int) -> tuple[Any, Any]:
    """The champion's probabilities are right but for a little, those of the candidate are too extreme."""
    odds = generator.normal(size=rows) * 1.2
    truth = (generator.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)
    pair = [1 / (1 + np.exp(-factor * odds)) for factor in (1.15, 1.8)]
    champion, candidate = (answers(truth, "binary", each, classes=(0, 1), probabilities=True) for each in pair)
    return candidate, champion


def text(generator: Generator, rows: int) -> tuple[Any, Any]:
    words = np.asarray([f"w{number}" for number in range(200)])
    drawn = generator.integers(0, 200, (rows, 5))
    hard = generator.random((rows, 1)) * 0.5

    def answered(share: float) -> Any:
        kept = generator.random((rows, 5)) > hard + share
        return np.asarray([" ".join(each) for each in np.where(kept, words[drawn], "no")], dtype=object)

    truth = np.asarray([" ".join(each) for each in words[drawn]], dtype=object)
    champion, candidate = (answers(truth, "text", None, answered(share)) for share in (0.1, 0.22))
    return candidate, champion


SCENES: Mapping[str, Scene] = {
    "binary": Scene(binary, 2500, "rows", {"roc_auc": {}, "log_loss": {}}),
    "multiclass": Scene(multiclass, 2000, "rows", {"f1": {"average": "macro"}, "roc_auc": {}}),
    "multilabel": Scene(multilabel, 800, "rows", {"f1": {"average": "micro"}, "accuracy": {}}),
    "regression": Scene(regression, 1500, "rows", {"mae": {}, "median_ae": {}}),
    "forecasting": Scene(forecasting, 400, "times of 3 series", {"mase": {}}),
    "ranking": Scene(ranking, 600, "queries", {"ndcg": {"k": 5}, "map": {}}),
    "probabilities": Scene(probabilities, 8000, "rows", {"ece": {}, "calibration_slope": {}}),
    "text": Scene(text, 1200, "rows", {"exact_match": {}, "token_f1": {}}),
}


def metrics_of(scene: Scene) -> list[Any]:
    from podium.core.quality.metrics import Options, named

    return [named(name, "", Options(**options)) for name, options in scene.metrics.items()]


def true_differences(scene: Scene, many: int = MANY) -> list[float]:
    """By how much each metric of the candidate is worse, measured on many rows."""
    from podium.core.quality.metrics import measure

    candidate, champion = scene.make(np.random.default_rng(999_999), many)
    pairs = [(measure(each, candidate), measure(each, champion), each) for each in metrics_of(scene)]
    return [metric.merit(theirs) - metric.merit(mine) for mine, theirs, metric in pairs]


def trial(name: str, seed: int, truth: list[float]) -> list[tuple[bool, bool]]:
    """For each metric: whether a candidate that is worse by the margin passes, and whether one that is worse by twice
    the margin does not fail."""
    from podium.core.domain.verdicts import Verdict
    from podium.core.quality.bootstrap import difference
    from podium.core.quality.metric_checks import judge

    scene = SCENES[name]
    candidate, champion = scene.make(np.random.default_rng(seed), scene.units)
    found: list[tuple[bool, bool]] = []
    for metric, worse in zip(metrics_of(scene), truth, strict=True):
        seen = difference(metric, candidate, champion, resamples=RESAMPLES, seed=seed)
        found.append((judge(seen, worse) is Verdict.PASS, judge(seen, worse / 2) is not Verdict.FAIL))
    return found


def measure_all(report: Report, trials: int, many: int, pool: ProcessPoolExecutor) -> None:
    from scipy.stats import beta, binom

    for name, scene in SCENES.items():
        truth = true_differences(scene, many)
        found = np.asarray(list(pool.map(trial, [name] * trials, range(trials), [truth] * trials)))
        for place, metric in enumerate(metrics_of(scene)):
            about = f"{name}: {metric.label}, {scene.units:,} {scene.what}"
            for question, rate in enumerate((WRONG, UNSEEN)):
                counted = int(found[:, place, question].sum())
                most = int(binom.ppf(1 - LUCK, trials, rate))
                low = beta.ppf(0.025, counted, trials - counted + 1) if counted else 0.0
                high = beta.ppf(0.975, counted + 1, trials - counted) if counted < trials else 1.0
                words = ("worse by the margin, passed", "worse by twice the margin, not failed")[question]
                spread = f" of {trials} ({counted / trials:.1%}, 95 % {low:.1%} … {high:.1%})"
                report.count(f"{about}, {words}", counted, most, spread)


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--trials", type=int, default=300)
    options = options_of.parse_args()
    report = Report()
    with ProcessPoolExecutor(max_workers=2) as pool:
        sizes = (8, QUICK_MANY) if options.quick else (options.trials, MANY)
        measure_all(report, *sizes, pool)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
