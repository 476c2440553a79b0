"""The files that `podium init` writes: a podium.yaml with a line of explanation for each part, and the two scripts
that make it runnable."""

from __future__ import annotations

import json
import re
from pathlib import Path

from .errors import PodiumError, Refused, UsageError

_PODIUM = """\
# What Podium does with this project. `podium config schema` prints the JSON Schema of this file, `podium validate` checks it.
project: @NAME@
mlflow: {experiment: @NAME@, model: @NAME@}   # without a tracking_uri, runs and models are kept in .podium/ on this machine

pipelines:
  release:
    on: {push: main}                      # a push to this branch starts it, while `podium watch` runs
    params: {rows: 400}                   # podium run --param rows=500
    steps:
      unit: {run: python -m unittest discover -s tests}
      data:
        run: python train.py data --rows ${{ params.rows }}
        inputs: [train.py]                # the step is skipped, and its outputs restored, while these stay the same
        outputs: [data/]
      train:
        needs: [unit, data]
        matrix: {depth: [2, 4]}           # one step for each value; independent steps run at the same time
        run: python train.py fit --depth ${{ matrix.depth }}
        inputs: [train.py, data/]
        timeout: 10m
      candidate: {uses: register, needs: [train], metric: accuracy, goal: maximize}   # the best one becomes `challenger`
      gate: {uses: gate, needs: [candidate], gate: quality}
      # One more line deploys what passed the gate; `approval: required` asks a person first:
      # production: {uses: promote, needs: [gate], environment: production, approval: required}

gates:
  quality:
    data: data/test.csv                   # rows that no training saw
    target: benign
    checks:
      - {metric: accuracy, at_least: 0.85}
      - {metric: accuracy, compare: champion, margin: 0.02}   # not worse than what serves now, by more than this

environments:
  production:                             # podium promote --yes
    driver: process
    port: 5100                            # curl -d '{"inputs": …}' http://127.0.0.1:5100/invocations
    replicas: 1
    strategy: blue-green
"""

_TRAIN = '''\
"""Trains the model of this project: `python train.py data` writes the rows, `python train.py fit` trains on them.

Only MLflow is used to report. Where it reports to, and the tags that tie a model to its commit and run, come from the environment.
"""

import argparse
from importlib.metadata import version
from pathlib import Path

DATA = Path("data")
TARGET = "benign"
PACKAGES = ("mlflow", "scikit-learn", "pandas", "numpy", "skops")  # what the model needs where it is served


def write_data(rows: int) -> None:
    """Write `rows` rows, a quarter of them for the gate. Replace this by your own data."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    table = load_breast_cancer(as_frame=True).frame.rename(columns={"target": TARGET}).sample(n=rows, random_state=1)
    train, test = train_test_split(table, test_size=0.25, random_state=1, stratify=table[TARGET])
    DATA.mkdir(exist_ok=True)
    train.to_csv(DATA / "train.csv", index=False)
    test.to_csv(DATA / "test.csv", index=False)


def fit(depth: int) -> None:
    """Train one model, log it and how good it is."""
    import mlflow
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    table = pd.read_csv(DATA / "train.csv")
    features, target = table.drop(columns=TARGET), table[TARGET]
    with mlflow.start_run():
        mlflow.log_params({"depth": depth, "rows": len(table)})
        model = RandomForestClassifier(n_estimators=40, max_depth=depth, random_state=1)
        accuracy = float(cross_val_score(model, features, target, cv=3).mean())
        mlflow.log_metric("accuracy", accuracy)
        model.fit(features, target)
        signature = mlflow.models.infer_signature(features, model.predict(features))
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            # The format that MLflow recommends: unlike a pickle, it runs no code when it is loaded. What it holds beside
            # numbers and parameters has to be named; these trees are this script's own.
            serialization_format="skops",
            skops_trusted_types=["sklearn.tree._tree.Tree"],
            # Given by hand: MLflow would otherwise load the model in another process to find out.
            pip_requirements=[f"{name}=={version(name)}" for name in PACKAGES],
        )
    print(f"accuracy {accuracy:.4f} with depth {depth}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("data").add_argument("--rows", type=int, default=400)
    commands.add_parser("fit").add_argument("--depth", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.command == "data":
        write_data(chosen.rows)
    else:
        fit(chosen.depth)


if __name__ == "__main__":
    main()
'''

_TEST = '''\
"""The tests of this project: the first step of the pipeline runs them."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import train


class Data(unittest.TestCase):
    def test_rows_are_split_once(self) -> None:
        before = Path.cwd()
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            try:
                train.write_data(rows=100)
                lines = [len((train.DATA / name).read_text(encoding="utf-8").splitlines()) - 1 for name in ("train.csv", "test.csv")]
            finally:
                os.chdir(before)
        self.assertEqual(lines, [75, 25])


if __name__ == "__main__":
    unittest.main()
'''

_IGNORED = (".podium/", "data/", "__pycache__/")


def create(directory: Path, *, name: str = "") -> list[Path]:
    """Writes a project into `directory`, which is created if it does not exist; returns the files that were written.

    Existing files are never touched: raises UsageError if there is a podium.yaml, Refused if one of the scripts
    already exists. `.gitignore` is only appended to.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    if (directory / "podium.yaml").exists():
        raise UsageError(f"{directory} already has a podium.yaml", hint="check it with `podium validate`")
    chosen = project_name(name or directory.resolve().name, given=bool(name))
    files = {
        directory / "podium.yaml": _podium(chosen, release_branch(directory)),
        directory / "train.py": _TRAIN,
        directory / "tests" / "test_smoke.py": _TEST,
    }
    for path in files:
        if path.exists():
            raise Refused(
                f"{path} already exists and is not overwritten", hint="choose an empty directory: `podium init DIR`"
            )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        ignored = _ignore(directory / ".gitignore")
    except OSError as error:
        raise UsageError(
            f"{error.filename or directory}: {error.strerror}", hint="choose a directory that can be written to"
        ) from error
    return [*files, *([directory / ".gitignore"] if ignored else [])]


def _podium(name: str, branch: str) -> str:
    text = _PODIUM.replace("@NAME@", name)
    if branch == "main":
        return text
    written = branch if re.fullmatch(r"[A-Za-z][A-Za-z0-9_/-]*", branch) else json.dumps(branch, ensure_ascii=False)
    said = f"git: {{branch: {written}}}   # the branch that releases come from\n\npipelines:"
    return text.replace("push: main", f"push: {written}").replace("\npipelines:", said, 1)


def release_branch(directory: Path) -> str:
    """Returns the branch that releases of the repository around a directory come from, as far as it shows: what its
    origin calls its own, main, master, or the one that is checked out."""
    from .scm import Repository

    try:
        repository = Repository.find(directory) if directory.exists() else None
        if repository is None:
            return "main"
        found = {ref.removeprefix("refs/heads/") for ref in repository.refs("refs/heads/")}
        current, own = repository.branch(), repository.default_branch()
    except PodiumError:
        return "main"
    if own:
        return own
    if "main" in found or not current:
        return "main"
    return "master" if "master" in found else current


def project_name(text: str, *, given: bool) -> str:
    """Returns a project's name made of `text`. One that a person has `given` is used unchanged or refused; a
    directory's name is adapted."""
    fits = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text)
    if fits:
        return text
    if given:
        raise UsageError(
            f"{text!r} cannot be a project's name",
            hint="use at most 63 letters, digits and . _ -, beginning with a letter or digit",
        )
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:63] or "project"


def _ignore(path: Path) -> bool:
    """Adds the missing lines to .gitignore; returns whether there were any."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in _IGNORED if line not in text.splitlines()]
    if missing:
        gap = "\n" if text and not text.endswith("\n") else ""
        path.write_text(text + gap + "\n".join(missing) + "\n", encoding="utf-8")
    return bool(missing)
