"""Leakage: rows of the test file in the training file, a feature that alone tells the target, times that overlap.

Each makes a model look better than it will be, and none shows in a metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ...domain.text.format import count
from ...domain.verdicts import CheckResult, Verdict
from ..column_types import plain
from ..metrics import Unmeasurable
from .kinds import EMPTY, NUMBER, TEXT, TIME, TRUTH, in_utc, kind_of
from .profile import Profile
from .rows import SIGNIFICANT, Rows, result, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 20_000
# With fewer rows a single feature predicts nothing that could be believed.
MIN_ROWS = 50
# A target that is a number with more values than this is a quantity; so many classes are told apart of any other one.
_MAX_CLASSES = 20
# Of more classes than _MAX_CLASSES, one with fewer rows is not told apart.
_FREQUENT_ROWS = 10
_SEED = 20130101


def leakage(rows: Rows) -> Sequence[CheckResult]:
    """Judges all three, as far as training data, target and a time are known."""
    found: list[CheckResult] = []
    if rows.training is not None:
        found.append(_shared(rows, rows.training))
    if rows.target:
        found.append(_alone(rows))
    if rows.spec.time:
        found.append(_overlap(rows, rows.known()))
    return found


def _shared(rows: Rows, known: Profile) -> CheckResult:
    """Judges how many rows are in the training data, by hashes of the columns that both have. Data with few columns
    has equal rows by chance: what its own duplicates explain is no leakage."""
    from scipy import stats

    name, total = "leakage: shared rows", max(1, len(rows.frame))
    if not known.compared:
        return result(name, rows, Verdict.ERROR, f"{rows.shown} and {known.shown} have no column in common")
    share, limit = known.shared / total, rows.spec.max_shared
    by = count(len(known.compared), "common column")
    message = f"{count(known.shared, 'row')} ({share:.2%}) of {rows.shown} are in {known.shown}, by {by}"
    if limit is not None:
        verdict = Verdict.FAIL if share > limit else Verdict.PASS
        return result(name, rows, verdict, message, value=share, limit=limit)
    natural = known.twins / max(1, known.sampled)
    chance: Any = cast("Any", stats).binom.sf(known.shared - 1, total, (known.twins + 1) / (known.sampled + 1))
    leaks = known.shared > 0 and float(chance) < SIGNIFICANT
    explained = f"its own duplicates explain {natural:.2%}"
    message += f"; {explained}" + ("" if leaks or not known.shared else ", so that this may be chance")
    return result(name, rows, Verdict.FAIL if leaks else Verdict.PASS, message, value=share, limit=natural)


def _overlap(rows: Rows, known: Profile) -> CheckResult:
    """Judges whether the rows are later than those of the training data."""
    name, column, limit = "leakage: time", rows.spec.time, rows.spec.max_overlap
    there = known.columns.get(column)
    if column not in rows.frame.columns or there is None:
        where = known.shown if column in rows.frame.columns else rows.shown
        raise Unmeasurable(f"{where} has no column {column!r}", hint="Correct the check's `time`.")
    values, latest = plain(rows.frame[column].dropna()), there.high
    if kind_of(values) == TEXT or there.kind == TEXT:
        raise Unmeasurable(
            f"the times {column!r} are text", hint="Write the data as Parquet, with times or numbers in this column."
        )
    if kind_of(values) not in (there.kind, EMPTY) or latest is None:
        raise Unmeasurable(f"{column!r} holds {kind_of(values)} here and {there.kind} in {known.shown}")
    if there.kind == TIME:
        values = in_utc(values)
    early = int((values <= latest).sum())
    share = early / max(1, len(rows.frame))
    verdict = Verdict.FAIL if share > limit else Verdict.PASS
    message = f"{count(early, 'row')} ({share:.2%}) of {rows.shown} are no later than {known.shown}'s latest {column},"
    return result(name, rows, verdict, f"{message} {shown(latest)}", value=share, limit=limit)


# -- a feature that alone tells the target
# --------------------------------------------------------------------------------------------------------------------


def _alone(rows: Rows) -> CheckResult:
    """Judges the feature that predicts the target best by itself: fitted on one half of the rows and measured on the
    other, both ways."""
    name, limit = "leakage: one feature", rows.spec.max_alone
    frame = rows.frame
    if len(frame) > ROWS:
        frame = frame.sample(ROWS, random_state=_SEED)
    frame = frame[frame[rows.target].notna()]
    if len(frame) < MIN_ROWS:
        message = f"{count(len(frame), 'row')} are too few to tell whether a feature alone predicts {rows.target}"
        return result(name, rows, Verdict.INCONCLUSIVE, message, limit=limit)
    truth, classes = _truth(plain(frame[rows.target]))
    if len(set(truth.tolist())) < 2:
        single = frame[rows.target].nunique() < 2
        what = "one value only" if single else "no values that are frequent enough to be told by a feature"
        return result(name, rows, Verdict.PASS, f"the target {rows.target} has {what}", limit=limit)
    scores = {column: _score(plain(frame[column]), truth, classes) for column in rows.columns(target=False)}
    if not scores:
        return result(name, rows, Verdict.PASS, "there is no feature", limit=limit)
    best = max(scores, key=lambda column: scores[column])
    measure, verdict = ("AUC" if classes else "R²"), Verdict.FAIL if scores[best] >= limit else Verdict.PASS
    bad = ", ".join(f"{shown(column)} {score:.4f}" for column, score in scores.items() if score >= limit)
    message = f"by themselves, these predict {rows.target} with {measure} ≥ {limit:g}: {bad}"
    if verdict is Verdict.PASS:
        message = f"the best single feature, {shown(best)}, predicts {rows.target} with {measure} {scores[best]:.4f}"
    return result(name, rows, verdict, message, value=scores[best], limit=limit)


def _truth(column: Any) -> tuple[NDArray[Any], int]:
    """Returns the target as numbers, and the number of its classes; 0 for a quantity."""
    import numpy as np
    import pandas

    if kind_of(column) == NUMBER:
        numbers = column.to_numpy(dtype=float)
        if len(set(numbers.tolist())) > _MAX_CLASSES or not bool((numbers == numbers.round()).all()):
            return numbers, 0
    codes, found = cast("Any", pandas).factorize(column)
    if len(found) > _MAX_CLASSES:
        # Free text has as many as rows. The most frequent ones tell as much, and the others count as one.
        rows = np.bincount(codes)
        frequent = (-rows).argsort(kind="stable")[: _MAX_CLASSES - 1]
        frequent = frequent[rows[frequent] >= _FREQUENT_ROWS]
        places = np.full(len(found), len(frequent))
        places[frequent] = np.arange(len(frequent))
        return places[codes], len(frequent) + 1
    return codes, len(found)


def _score(column: Any, truth: NDArray[Any], classes: int) -> float:
    """Returns the AUC (one class against the rest, averaged, for more than two) or R² of a model of this column
    alone."""
    import numpy as np
    from sklearn import metrics

    halves = np.random.default_rng(_SEED).permutation(len(truth)) % 2 == 0
    fit = _of_words if kind_of(column) in (TEXT, TRUTH) else _of_numbers
    if kind_of(column) not in (TEXT, TRUTH, NUMBER, TIME):
        return 0.0
    answers = np.zeros((len(truth), max(1, classes)))
    for half in (halves, ~halves):
        answers[~half] = fit(column, truth, half, classes)
    if not classes:
        return float(cast("Any", metrics).r2_score(truth, answers[:, 0]))
    if classes == 2:
        return float(cast("Any", metrics).roc_auc_score(truth == 1, answers[:, 1]))
    found = [float(cast("Any", metrics).roc_auc_score(truth == each, answers[:, each])) for each in range(classes)]
    return float(np.mean(found))


def _of_numbers(column: Any, truth: NDArray[Any], half: NDArray[Any], classes: int) -> NDArray[Any]:
    """Returns a shallow tree's answers for the rows outside of `half`."""
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if kind_of(column) == TIME:
        column = in_utc(column).astype("int64").where(column.notna(), np.nan)
    values: Any = column.to_numpy(dtype=float).reshape(-1, 1)
    values = np.where(np.isinf(values), np.nan, values)
    leaf = max(5, len(truth) // 500)
    if not classes:
        tree: Any = DecisionTreeRegressor(min_samples_leaf=leaf, max_leaf_nodes=256, random_state=0)
        return tree.fit(values[half], truth[half]).predict(values[~half]).reshape(-1, 1)
    tree = DecisionTreeClassifier(min_samples_leaf=leaf, max_leaf_nodes=64, random_state=0)
    tree.fit(values[half], truth[half])
    answers = np.zeros((int((~half).sum()), classes))
    answers[:, tree.classes_.astype(int)] = tree.predict_proba(values[~half])
    return answers


def _of_words(column: Any, truth: NDArray[Any], half: NDArray[Any], classes: int) -> NDArray[Any]:
    """Returns, for each row outside of `half`, what the rows of its word within `half` have."""
    import numpy as np
    import pandas

    codes, words = cast("Any", pandas).factorize(column.astype(object).where(column.notna(), None).map(str))
    outcomes = np.eye(classes)[truth] if classes else truth.reshape(-1, 1)
    prior = outcomes[half].mean(axis=0)
    sums = np.tile(prior, (len(words), 1))
    counts = np.ones((len(words), 1))
    np.add.at(sums, codes[half], outcomes[half])
    np.add.at(counts, codes[half], 1.0)
    return (sums / counts)[codes[~half]]
