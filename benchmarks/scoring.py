"""What batch scoring takes beside MLflow's own: python benchmarks/scoring.py [--rows 400000] [--rounds 3] [--quick]

The same rows of a CSV, the same model (a random forest, one thread), from the command to the last prediction on the
disk: `podium score` with as many parts at work as there are CPUs, and one `mlflow models predict` in an interpreter of
the same environment. Ideally it takes one part of its time for each CPU; both begin by loading MLflow.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from _measuring import Report, cost, in_turns, parser

YAML = "project: flights\n"
# How much of the ideal has to be reached.
SHARE = 0.8
FEATURES = 12


def prepare(home: Path, rows: int, trees: int) -> Path:
    """Makes a project with a champion, and the rows; returns where the model is."""
    import logging

    import mlflow
    import numpy as np
    import pandas as pd
    from podium.core.config import load
    from podium.core.registry.prepare import prepare as prepare_store
    from sklearn.ensemble import RandomForestRegressor

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    (home / "podium.yaml").write_text(YAML)
    project = load(home)
    prepare_store(project.mlflow, project.state)
    mlflow.set_tracking_uri(project.mlflow.tracking_uri)
    mlflow.set_experiment(project.mlflow.experiment)
    drawn = np.random.default_rng(1)
    names = [f"x{number}" for number in range(FEATURES)]
    table = pd.DataFrame(drawn.normal(size=(rows, FEATURES)).round(4), columns=names)
    known = table.head(3000)
    forest = RandomForestRegressor(trees, max_depth=10, random_state=1).fit(known, known.sum(axis=1))
    with mlflow.start_run():
        made = mlflow.sklearn.log_model(
            forest,
            name="model",
            input_example=known.head(3),
            registered_model_name=project.mlflow.model,
            serialization_format="cloudpickle",
        )
    mlflow.MlflowClient().set_registered_model_alias(project.mlflow.model, "champion", made.registered_model_version)
    table.to_csv(home / "rows.csv", index=False)
    model = home / "model"
    mlflow.artifacts.download_artifacts(made.model_uri, dst_path=str(model))
    return model


def ours(home: Path, parallel: int) -> float:
    shutil.rmtree(home / "out", ignore_errors=True)
    command = [sys.executable, "-m", "podium.cli", "score", "rows.csv", "-o", "out", "-q"]
    # At the priority of steps it would wait for whatever else the machine does, which the peer does not.
    return cost([*command, "--parallel", str(parallel)], home, {"PODIUM_NICE": "0"}).seconds


def theirs(home: Path, model: Path) -> float:
    options = ["-i", "rows.csv", "-o", "out.json", "-t", "csv", "--env-manager", "local"]
    return cost([sys.executable, "-m", "mlflow", "models", "predict", "-m", str(model), *options], home).seconds


def same(home: Path) -> bool:
    """Whether both predicted the same."""
    import json

    import numpy as np
    import pandas as pd

    files = sorted((home / "out").glob("part-*.csv"))
    found = pd.concat([pd.read_csv(file, usecols=["prediction"]) for file in files])["prediction"].to_numpy()
    return np.allclose(found, np.asarray(json.loads((home / "out.json").read_text())["predictions"]))


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=400_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    rows, rounds, trees = (20_000, 1, 20) if options.quick else (options.rows, options.rounds, 300)
    parallel = len(os.sched_getaffinity(0))
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        model = prepare(home, rows, trees)
        calls = {
            "ours": lambda: ours(home, parallel),
            "one": lambda: ours(home, 1),
            "theirs": lambda: theirs(home, model),
        }
        took = in_turns(calls, rounds)
        if not same(home):
            raise SystemExit("the predictions are not those of mlflow models predict")
        peer = "mlflow models predict"
        what = f"{rows:,} rows scored, {parallel} parts at once"
        report.compare(what, took["ours"], peer, took["theirs"], most=1 / (SHARE * parallel))
        report.compare("the same, one part at a time", took["one"], peer, took["theirs"])
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
