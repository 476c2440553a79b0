"""What metrics are made of: one model's answers beside the truth, how rows belong together, and a value that can be
taken again of any rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ...domain import metrics as vocabulary
from ...domain.frozen import Frozen
from ...errors import PodiumError

if TYPE_CHECKING:
    from numpy import bool_, floating, intp
    from numpy.typing import NDArray

    Floats = NDArray[floating[Any]]
    Flags = NDArray[bool_]
    Rows = NDArray[intp]

# Probabilities are kept this far from 0 and 1 in log_loss, as scikit-learn does for doubles.
EPSILON = 2.220446049250313e-16
PROBABILITIES_HINT = "Log a scikit-learn model with pyfunc_predict_fn='predict_proba'."


class Unmeasurable(PodiumError):
    """Raised when a metric cannot be computed from these answers. The gate records it as an error."""


class Units(Frozen):
    """How the rows belong together: what is drawn again is drawn in these units."""

    groups: Rows | None = None
    """The number of each row's group (a query, a series, a customer), whose rows are drawn together."""
    times: Rows | None = None
    """The place of each row's time among all times: neighbouring times are drawn together, in blocks."""
    block: int = 1
    """How many times are in a block."""

    def only(self, rows: Flags) -> Units:
        """Returns the same of the rows where `rows` is true, numbered from 0 again."""
        return Units(_numbered(self.groups, rows), _numbered(self.times, rows), self.block)


def _numbered(codes: Rows | None, rows: Flags) -> Rows | None:
    import numpy as np

    return None if codes is None else np.unique(codes[rows], return_inverse=True)[1]


class ModelAnswers(Frozen):
    """One model's answers for the rows, beside the truth.

    | task | truth | scores | labels |
    |---|---|---|---|
    | binary | 1 for the positive class, else 0 | grow with the belief in it | 1 or 0 |
    | multiclass | the number of the class | (rows, classes) | the number of the class |
    | multilabel | (rows, labels) of 1 and 0 | (rows, labels) | (rows, labels) of 1 and 0 |
    | regression, forecasting | the number | the number | None |
    | ranking | the gain of the row | grows with the model's belief in it | None |
    | text | words | None | words |

    `labels` is None for scores outside 0 … 1, where no threshold is known; `scores` is None for a model that answers
    with labels only.
    """

    truth: NDArray[Any]
    scores: Floats | None
    labels: NDArray[Any] | None
    task: str
    classes: tuple[Any, ...] = ()
    """In order; of two the positive one is the last. The labels of a multilabel target."""
    probabilities: bool = False
    """Whether the scores are probabilities."""
    units: Units = Units()
    steps: Rows | None = None
    """How far ahead each row of a forecast looks."""
    scale: Floats | None = None
    """The mean absolute error of the naive forecast on each row's series before these rows, for MASE."""
    source: Any = None
    """What a metric of the user's own asks for its value; None for all others."""
    index: Rows | None = None
    """The rows' numbers in the gate's table, where they are not all of them."""

    @property
    def rows(self) -> int:
        return int(self.truth.shape[0])

    def only(self, rows: Flags) -> ModelAnswers:
        """Returns the answers of the rows where `rows` is true."""
        from dataclasses import replace

        import numpy as np

        def part(values: Any) -> Any:
            return None if values is None else values[rows]

        return replace(
            self,
            truth=self.truth[rows],
            scores=part(self.scores),
            labels=part(self.labels),
            units=self.units.only(rows),
            steps=part(self.steps),
            scale=part(self.scale),
            index=np.flatnonzero(rows) if self.index is None else self.index[rows],
        )

    def at(self, step: int) -> ModelAnswers:
        """Returns the answers that look `step` ahead. Raises Unmeasurable if it is not known how far they look, or
        none does."""
        if self.steps is None:
            hint = "Say which column of the gate's data has it: series: {horizon: COLUMN}."
            raise Unmeasurable(f"it is not known which rows look {step} ahead", hint=hint)
        found = self.only(self.steps == step)
        if not found.rows:
            raise Unmeasurable(f"no row looks {step} ahead")
        return found


class Statistic(Protocol):
    """A metric of one model's answers, which can be taken of any of their rows, each as often as it is named."""

    def value(self, rows: Rows) -> float:
        """Returns the metric on these rows; NaN where it is not defined on them."""
        ...


def kind_of(answers: ModelAnswers) -> str:
    """Returns in words what is judged, for an error."""
    if answers.task == vocabulary.BINARY:
        return "a classifier with two classes"
    if answers.task in (vocabulary.MULTICLASS, vocabulary.MULTILABEL):
        what = "classes" if answers.task == vocabulary.MULTICLASS else "labels"
        return f"a {answers.task} target with {len(answers.classes)} {what}"
    return {
        vocabulary.REGRESSION: "a target that is a number",
        vocabulary.FORECASTING: "a forecast",
        vocabulary.RANKING: "a ranking",
        vocabulary.TEXT: "a target of text",
    }.get(answers.task, "this target")
