"""Trains one model and logs it to MLflow. Where to log, and the tags that tie it to its run and commit, come from
MLflow's own environment variables: by hand it writes to ./mlflow.db, or wherever MLFLOW_TRACKING_URI points.

    python train.py --depth 4 --rate 0.1
"""

from __future__ import annotations

import argparse
import logging
from importlib.metadata import version
from pathlib import Path

import cloudpickle
import features
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from prepare import COLUMNS, TARGET, TEXT
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.pipeline import Pipeline

ITERATIONS = 40  # more do not help: on the validation month twice as many are no better
REPORT_EVERY = 5  # trees between two points of the live curve
SEED = 7


def load(name: str, data: Path) -> tuple[pd.DataFrame, pd.Series]:
    rows = pd.read_parquet(data / f"{name}.parquet")
    return rows[list(COLUMNS)], rows[TARGET]


def fit(depth: int, rate: float, data: Path) -> tuple[Pipeline, dict[str, float]]:
    """The fitted pipeline and its metrics on the validation month. The curve is logged while the trees grow."""
    train, late = load("train", data)
    valid, valid_late = load("valid", data)
    encoder = features.encoder().fit(train, late)
    x, x_valid = encoder.transform(train), encoder.transform(valid)
    model = HistGradientBoostingClassifier(
        max_depth=depth,
        learning_rate=rate,
        min_samples_leaf=40,
        warm_start=True,
        early_stopping=False,
        random_state=SEED,
    )
    for trees in range(REPORT_EVERY, ITERATIONS + 1, REPORT_EVERY):
        chance = model.set_params(max_iter=trees).fit(x, late).predict_proba(x_valid)[:, 1]
        mlflow.log_metric("valid_roc_auc", float(roc_auc_score(valid_late, chance)), step=trees)
    metrics = {
        "roc_auc": float(roc_auc_score(valid_late, chance)),
        "log_loss": float(log_loss(valid_late, chance)),
        "average_precision": float(average_precision_score(valid_late, chance)),
        "train_rows": float(len(train)),
    }
    return Pipeline([("encoder", encoder), ("model", model)]), metrics


def signature() -> ModelSignature:
    """Every column of a flight, whatever this model uses of it; numbers may be missing. Answers are [on time, late]
    probabilities."""
    inputs = [ColSpec("string" if name in TEXT else "double", name, required=name in TEXT) for name in COLUMNS]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--depth", type=int, default=4, help="deepest tree (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data"))
    options = parser.parse_args()
    with mlflow.start_run(run_name=f"depth {options.depth}, rate {options.rate}"):
        mlflow.log_params(
            {
                "depth": options.depth,
                "rate": options.rate,
                "iterations": ITERATIONS,
                "features": " ".join(features.FEATURES),
            }
        )
        model, metrics = fit(options.depth, options.rate, options.data)
        mlflow.log_metrics(metrics)
        # The encoder's code travels inside the model, so that a served version never depends on what features.py says
        # by then. Only a pickle can hold code; MLflow's recommended format, skops, cannot. That a pickle runs code when
        # it is loaded is known here: who may write into the store may do so anyway, so its warning is left out.
        cloudpickle.register_pickle_by_value(features)
        logging.getLogger("mlflow.sklearn").addFilter(lambda record: "pickle" not in record.getMessage())
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature(),
            # A replica answers it before it gets traffic: nobody's request is the first.
            input_example=load("valid", options.data)[0].head(2),
            serialization_format="cloudpickle",
            pyfunc_predict_fn="predict_proba",
            # Given by hand: MLflow would otherwise load the model in another process to find out.
            pip_requirements=[
                f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "pandas", "numpy", "cloudpickle")
            ],
        )
    print(f"roc_auc {metrics['roc_auc']:.4f} on the validation month, trained on {metrics['train_rows']:,.0f} flights")


if __name__ == "__main__":
    main()
