"""What the model looks at. A request always carries every column of `prepare.COLUMNS`; the model picks FEATURES from
it, so a model that looks at more can replace one that looks at less without any client noticing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from prepare import SCHEDULE, TEXT
from sklearn.base import BaseEstimator, TransformerMixin

# The next thing to try: SCHEDULE + WEATHER.
FEATURES = SCHEDULE


class Encoder(TransformerMixin, BaseEstimator):
    """A table of flights to a matrix of float64, one column per feature. A carrier or an airport becomes the share
    of its flights that were late in training, the order in which trees split best; one that was not seen becomes
    missing. Written out because scikit-learn's ColumnTransformer, and the trees' own handling of categories, take 2
    to 4 ms for the one row of a request; this takes 0.1."""

    def __init__(self, features: tuple[str, ...], text: tuple[str, ...]) -> None:
        self.features = features
        self.text = text

    def fit(self, flights: pd.DataFrame, late: pd.Series) -> Encoder:
        names = [name for name in self.features if name in self.text]
        self.rates_ = {name: late.groupby(flights[name]).mean().to_dict() for name in names}
        return self

    def transform(self, flights: pd.DataFrame) -> np.ndarray:
        matrix = np.empty((len(flights), len(self.features)))
        for position, name in enumerate(self.features):
            values = flights[name].to_numpy()
            rates = self.rates_.get(name)
            matrix[:, position] = values if rates is None else [rates.get(value, np.nan) for value in values]
        return matrix


def encoder() -> Encoder:
    return Encoder(FEATURES, TEXT)
